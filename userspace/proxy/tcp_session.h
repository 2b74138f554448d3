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

  enum class Connected : std::uint8_t {
    yes,
    full,  ///< a limit of the service is reached: refuse_full(), or becomes_http()
    no,    ///< no endpoint took it, or the client left
  };
  /// A balanced connect, tried on further endpoints as the settings say.
  net::Task<Connected> connect();
  void refuse_full();
  /// Nothing was relayed, and another session goes on with the client.
  void becomes_http() { handed_over_ = true; }

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
  /// Notes why; `no`.
  Connected unconnected(upstream::Failure failure);
  std::chrono::milliseconds idle_timeout() const;
  void interrupt_upstream(boost::system::error_code reason) override;

  void count_refusal(const Choice& choice, bool first);

  UpstreamConnection upstream_;
  Target target_;
  SteadyTime started_;
  observe::Overflow full_ = observe::Overflow::connections;  ///< the limit, where connect() gave `full`
  bool handed_over_ = false;  ///< the client turned out to speak HTTP
};

}  // namespace causeway::proxy
