#pragma once
// A resolver on a thread: UDP and TCP on one port of 127.0.0.1, answering with what the test scripts.
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/ip.h"
#include "packets.h"

namespace causeway::dns::test {

class StubResolver {
 public:
  struct Asked {
    Packet packet;
    std::uint16_t source_port = 0;
    bool tcp = false;
  };
  /// The messages sent back for a query, none for silence.
  using Script = std::function<std::vector<Packet>(const Packet& query, bool tcp)>;

  explicit StubResolver(Script script);
  ~StubResolver();

  SocketAddress address() const { return address_; }
  std::vector<Asked> asked() const;

 private:
  void run();
  void serve_udp();
  void serve_tcp();
  std::vector<Packet> answer(const Packet& query, std::uint16_t port, bool tcp);

  Script script_;
  Fd udp_, tcp_, stop_;
  SocketAddress address_;
  mutable std::mutex mutex_;
  std::vector<Asked> asked_;
  std::thread thread_;
};

/// An answer to `query`: its bytes with QR set, and an A record of `address` for the question.
Packet a_answer(const Packet& query, IpAddress address);

}  // namespace causeway::dns::test
