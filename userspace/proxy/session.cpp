#include "proxy/session.h"

#include <algorithm>

#include <boost/asio/error.hpp>

#include "net/relay.h"
#include "net/socket_options.h"

namespace causeway::proxy {

using namespace std::chrono_literals;

namespace {
/// How often a session that waits for its upstream looks whether its client is still there. A watch on the socket
/// itself would cost a system call a request.
constexpr auto kWatchInterval = 250ms;
}  // namespace

Session::Session(Downstream& downstream)
    : down_(downstream),
      connector_(downstream.context.loop),
      tick_(
          downstream.context.loop.wheel, [](void* self) { static_cast<Session*>(self)->on_tick(); }, this) {
  downstream.session = this;
  learn_peer();
}

void Session::interrupt(boost::system::error_code reason) {
  client().interrupt(reason);
  connector_.interrupt(reason);
  interrupt_upstream(reason);
}

void Session::set_waits(const Waits& waits) {
  waits_ = waits;
  idle_since_ = now();
  arm(idle_since_);
}

void Session::arm(SteadyTime time) {
  SteadyTime next = waits_.limit;
  if (waits_.idle > 0ns)
    next = std::min(next, idle_since_ + std::chrono::duration_cast<SteadyTime::duration>(waits_.idle));
  if (waits_.watch_client) next = std::min(next, time + kWatchInterval);
  tick_.expires_at(next);
}

void Session::on_tick() {
  const SteadyTime time = now();
  boost::system::error_code reason;
  if (time >= waits_.limit || (waits_.idle > 0ns && time - idle_since_ >= waits_.idle)) {
    reason = boost::asio::error::timed_out;
    limit_passed_ = time >= waits_.limit;
  } else if (waits_.watch_client && net::peer_is_gone(client().fd())) {
    reason = boost::asio::error::connection_aborted;
  } else {
    return arm(time);
  }
  waits_ = {};
  interrupt(reason);
}

net::Task<boost::system::error_code> Session::relay(net::Connection& upstream, net::Buffer& from_upstream) {
  const net::Pump there{client(), upstream, in(), this, [](void* self, std::size_t bytes) {
                          auto& session = *static_cast<Session*>(self);
                          session.touch();
                          observe::bump(session.slot().bytes_sent, bytes);
                          session.record_.bytes_received += bytes;
                        },
                        &context().pipes};
  const net::Pump back{upstream, client(), from_upstream, this, [](void* self, std::size_t bytes) {
                         auto& session = *static_cast<Session*>(self);
                         session.touch();
                         observe::bump(session.slot().bytes_received, bytes);
                         session.record_.bytes_sent += bytes;
                       },
                       &context().pipes};
  const boost::system::error_code error = co_await net::relay(there, back);
  co_return error;
}

}  // namespace causeway::proxy
