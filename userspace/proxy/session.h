#pragma once
// What every protocol's session has in common: a client's connection, the service that it dialled, a deadline on every
// wait. A session does not assume a protocol: HTTP/1 and TCP stand in files of their own, chosen in accept.cpp.
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "causeway/abi/origin.h"
#include "net/connect.h"
#include "net/connection.h"
#include "proxy/access_records.h"
#include "proxy/context.h"
#include "upstream/retry.h"

namespace causeway::proxy {

class Session;

/// Why nothing was dialled.
inline constexpr std::string_view kHostLimit = "this host has no descriptor, port or memory left";

/// A client's connection.
struct Downstream : DownstreamHook {
  Downstream(Context& c, Fd socket, std::shared_ptr<ServiceState> s, observe::Slot& counters, ClientId from,
             std::string name)
      : context(c),
        client(c.loop, std::move(socket)),
        in(c.buffers),
        service(std::move(s)),
        slot(counters),
        client_id(from),
        alias_name(std::move(name)) {
    c.downstreams.push_back(*this);
  }

  Context& context;
  net::Connection client;
  net::Buffer in;  ///< read from the client, not yet consumed
  std::shared_ptr<ServiceState> service;
  observe::Slot& slot;
  ClientId client_id;
  std::string alias_name;
  std::optional<SocketAddress> peer;  ///< the client's address, known where it is logged
  Session* session = nullptr;         ///< the one that has it in hand; none while its protocol is found out
};

/// Ends when run() of the derived class returns. Not thread-safe.
class Session {
 public:
  explicit Session(Downstream& downstream);
  virtual ~Session() { down_.session = nullptr; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  ServiceState& service() const { return *down_.service; }
  /// Ends every wait of the session, those to come too, with this reason.
  void interrupt(boost::system::error_code reason);
  /// The proxy stops: end when idle. Called once.
  virtual void on_drain() = 0;
  /// Descriptors are scarce: true if it is between two requests, and ends.
  virtual bool end_if_idle() { return false; }
  /// The service's endpoints are others now.
  virtual void on_endpoints_changed() {}

 protected:
  virtual void interrupt_upstream(boost::system::error_code reason) = 0;

  Context& context() const { return down_.context; }
  net::Connection& client() const { return down_.client; }
  net::Buffer& in() const { return down_.in; }
  observe::Slot& slot() const { return down_.slot; }
  SteadyTime now() const { return std::chrono::steady_clock::now(); }

  struct Waits {
    SteadyTime limit = SteadyTime::max();  ///< no wait lasts beyond this time
    std::chrono::nanoseconds idle{0};      ///< nothing happening for this long ends the wait; 0: off
    bool watch_client = false;  ///< look for a client that vanished (reset) while only the upstream is waited for
  };
  /// What bounds the waits from here on, in place of what did before. Past a bound the session is interrupted with
  /// timed_out (connection_aborted: the client vanished), and the bounds are gone: what is waited for then sets its
  /// own.
  void set_waits(const Waits& waits);
  /// Something happened: the idle time begins anew.
  void touch() { idle_since_ = now(); }
  const Waits& waits() const { return waits_; }
  SteadyTime idle_since() const { return idle_since_; }

  /// Bytes of both sides, counted, until both have ended: the first error that either met. What the caller read already
  /// goes first: in() to `upstream`, `from_upstream` to the client.
  net::Task<boost::system::error_code> relay(net::Connection& upstream, net::Buffer& from_upstream);

  // The access log (session_notes.cpp). What decides how it ends is noted where it is decided.
  /// Whether what the service is asked is logged now.
  bool logged() const { return is_logged(service().service()); }
  /// `reason` lives until the record is written; the first one stands.
  void note(observe::Flag flag, std::string_view reason);
  /// By what a wait for the client, or a write to it, ended with.
  void note_client_end(boost::system::error_code error);
  void note_relay_end(boost::system::error_code error);
  void note_unconnected(upstream::Failure failure);
  /// Asks for the client's address while the connection has one.
  void learn_peer();
  void write_record(SteadyTime started);
  observe::AccessRecord record_;

  Downstream& down_;
  net::Connector connector_;

 private:
  void on_tick();
  void arm(SteadyTime time);

  net::Deadline tick_;
  Waits waits_;
  bool limit_passed_ = false;  ///< the last bound that was met was Waits::limit
  SteadyTime idle_since_{};
};

}  // namespace causeway::proxy
