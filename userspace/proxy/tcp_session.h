#pragma once
#include <memory>

#include "proxy/dial.h"
#include "proxy/session.h"

namespace causeway::proxy {

/// Bytes as they come, to one endpoint.
class TcpSession final : public Session {
 public:
  explicit TcpSession(Downstream& downstream);
  ~TcpSession() override;

  /// A balanced connect, tried on further endpoints as the settings say. False: none took it, a limit is reached, or the
  /// client left.
  net::Task<bool> connect();

  enum class Speaker : std::uint8_t { client, server, nobody };
  /// Waits until one side's bytes (or end) are there; nobody: idle for too long, or broken.
  net::Task<Speaker> first_to_speak();
  /// The connection on which nothing was sent yet becomes one that any request may use.
  void give_to_pool();

  /// Relays until both directions have ended, or the idle time passes.
  net::Task<> run();

  void on_drain() override {}  // lasts until the drain's end: nothing says when it could be ended
  void on_endpoints_changed() override;

 private:
  /// Notes why; false.
  bool unconnected(upstream::Failure failure);
  std::chrono::milliseconds idle_timeout() const;
  void interrupt_upstream(boost::system::error_code reason) override;

  void count_refusal(const Choice& choice, bool first);

  UpstreamConnection upstream_;
  Target target_;
  SteadyTime started_;
  bool handed_over_ = false;  ///< the client turned out to speak HTTP
};

}  // namespace causeway::proxy
