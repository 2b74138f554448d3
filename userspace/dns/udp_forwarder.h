#pragma once
// Queries over UDP to resolvers, each from a socket of its own: its port is random, and only the resolver that was
// asked can send to it (RFC 5452, 9.2).
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_set>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "dns/responder.h"

namespace causeway::dns {

/// On one thread.
class UdpForwarder {
 public:
  /// At most this many queries wait for resolvers; more are refused at once.
  static constexpr std::size_t kMaxOutstanding = 1024;
  /// Gets the reply with the query's own id, or nothing.
  using Done = std::function<void(Bytes reply)>;

  UdpForwarder(boost::asio::any_io_executor executor, std::chrono::milliseconds timeout, Counters& counters);
  ~UdpForwarder();

  /// Asks `decision.resolvers` one after another, all within the timeout. Calls `done` once, maybe at once; never
  /// after stop().
  void forward(Bytes packet, const Decision& decision, Done done);
  void stop();

 private:
  struct Exchange;
  void next_resolver(const std::shared_ptr<Exchange>& exchange);
  bool ask(Exchange& exchange);
  void receive(const std::shared_ptr<Exchange>& exchange);
  void finish(const std::shared_ptr<Exchange>& exchange, Bytes reply);

  boost::asio::any_io_executor executor_;
  std::chrono::milliseconds timeout_;
  Counters& counters_;
  std::vector<std::uint8_t> buffer_;
  std::unordered_set<std::shared_ptr<Exchange>> outstanding_;
};

/// An id that an outsider cannot guess, getrandom(2).
std::uint16_t unguessable_id();

}  // namespace causeway::dns
