// An attempt at an endpoint: the request's way to it.
#include <algorithm>

#include <boost/asio/error.hpp>

#include "net/join.h"
#include "proxy/http1_session.h"

namespace causeway::proxy {

using boost::system::error_code;

net::Task<> Http1Session::attempt() {
  ended_ = Ended::undecided;
  after_ = After::closed;
  request_sent_ = false;
  waiting_for_body_ = false;
  interim_heads_ = 0;
  response_parser_.reset();
  upstream_in_.release();
  if (body_.complete()) {
    // Not sent whole: the server may have said why before it closed.
    request_sent_ = co_await send_request();
    co_await respond();
  } else {
    auto up = pump_body();
    auto down = respond_beside_pump();
    co_await net::join(std::move(up), std::move(down));
    client().resume();
  }
  report_attempt();
  upstream_.reset();
}

/// Head, and what is at hand of the body, in one write.
net::Task<bool> Http1Session::send_request() {
  bound_exchange(body_.complete());
  std::array<iovec, 3> parts{{{request_head_.data(), request_head_.size()},
                              {const_cast<char*>(body_start_.data()), body_start_.size()},
                              {replay_.data(), replay_.size()}}};
  const error_code error = co_await upstream_->write_all(parts, &sent_);
  observe::bump(slot().bytes_sent, sent_);
  co_return !error;
}

/// The response must be complete within the per-request timeout from when the whole request came (as Envoy counts it):
/// a slow upload does not use it up.
void Http1Session::bound_exchange(bool request_complete) {
  const ServiceSettings& s = service().service().settings;
  if (request_complete && limit_ == SteadyTime::max() && s.per_request_timeout.count() > 0) {
    limit_ = (body_start_.empty() && replay_.empty() ? started_ : now()) + s.per_request_timeout;
  }
  std::chrono::nanoseconds idle = s.http_idle_timeout;
  const std::chrono::nanoseconds body_idle = context().settings.limits.body_idle;
  if (!request_complete && body_idle.count() > 0) idle = idle.count() > 0 ? std::min(idle, body_idle) : body_idle;
  set_waits({.limit = limit_, .idle = idle, .watch_client = true});
}

/// Beside respond(): a server may answer before it has read the whole body.
net::Task<> Http1Session::pump_body() {
  bool ok = co_await send_request();
  std::size_t turn = 0;
  while (ok && !body_.complete()) {
    if (turn >= net::kTurnBytes) {
      turn = 0;
      co_await context().loop.yield();
    }
    ok = co_await read_body();
    if (!ok) co_return;
    const auto part = body_in_.view();
    const http::BodyStep step = body_.read(part);
    if (step.outcome == http::Outcome::bad) {
      reason_ = step.reason;
      ended_ = Ended::bad_request;
      note(observe::Flag::client_protocol_error, reason_);
      upstream_->interrupt(boost::asio::error::operation_aborted);
      co_return;
    }
    keep_for_replay(part.substr(0, step.consumed));
    iovec bytes{const_cast<char*>(part.data()), step.consumed};
    std::size_t written = 0;
    const error_code error = co_await upstream_->write_all({&bytes, 1}, &written);
    sent_ += written;
    observe::bump(slot().bytes_sent, written);
    record_.bytes_received += step.consumed;
    body_in_.consume(step.consumed);
    turn += step.consumed;
    touch();
    ok = !error;
  }
  if (!ok) co_return;  // respond() finds out what the server said
  request_sent_ = true;
  bound_exchange(true);
}

net::Task<bool> Http1Session::read_body() {
  waiting_for_body_ = true;
  error_code error;
  if (client().drained()) {
    body_in_.release();
    error = co_await client().wait_readable();
  }
  if (!error) {
    const auto room = body_in_.space();
    const net::IoResult read = co_await client().read_some(room);
    error = read.error;
    body_in_.commit(read.bytes);
  }
  if (client().interrupted()) co_return false;  // respond() is done, or sees whom the time was lost on
  waiting_for_body_ = false;
  if (!error) co_return true;
  ended_ = error == boost::asio::error::eof ? Ended::request_cut : Ended::client_gone;
  note(observe::Flag::client_gone, "the client ended the connection inside its request");
  upstream_->interrupt(boost::asio::error::operation_aborted);
  co_return false;
}

void Http1Session::keep_for_replay(std::string_view bytes) {
  if (!replayable_) return;
  if (replay_.size() + bytes.size() <= kReplayBytes) {
    replay_.append(bytes);
    return;
  }
  replayable_ = false;
  std::string().swap(replay_);
}

}  // namespace causeway::proxy
