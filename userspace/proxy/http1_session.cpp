#include "proxy/http1_session.h"

#include <boost/asio/error.hpp>
#include <fmt/core.h>

#include "http/framing.h"
#include "http/response.h"
#include "http/rewrite.h"
#include "net/socket_options.h"
#include "proxy/refusal.h"

namespace causeway::proxy {

using namespace std::chrono_literals;
using boost::system::error_code;

namespace {
/// While draining, how long an idle connection may still ask, once: closed at once, it would cross with a request under
/// way, and HTTP/1.1 gives a client no way to tell whether that was read (RFC 9112, 9.5).
constexpr auto kDrainedRequest = 1s;
/// With descriptors scarce, how long a new client may be silent before it makes room for another.
constexpr auto kFirstRequest = 1s;
constexpr auto kAnswerTime = 5s;  ///< for the proxy's own answer to be taken
constexpr auto kLingerTime = 2s;  ///< for the client to read the last answer and close
constexpr std::size_t kKeptReplayBytes = 1024;
/// Served to one client before the worker's others get their turn.
constexpr unsigned kTurnRequests = 64;
}  // namespace

Http1Session::Http1Session(Downstream& downstream)
    : Session(downstream),
      request_parser_({.max_bytes = downstream.context.settings.limits.header_bytes,
                       .max_fields = downstream.context.settings.limits.header_fields}),
      body_in_(downstream.context.buffers),
      upstream_in_(downstream.context.buffers) {}

net::Task<> Http1Session::run() {
  for (unsigned turn = 0;; ++turn) {
    // Requests that the proxy answers itself may come and go without a wait.
    if (turn == kTurnRequests) {
      turn = 0;
      co_await context().loop.yield();
    }
    const ReadHead read = co_await read_head();
    if (read == ReadHead::end) co_return;
    After after;
    if (read == ReadHead::bad) {
      begin_request();
      note_bad_head();
      record_.bytes_received = in().view().size();
      note(verdict_.status == 408 ? observe::Flag::idle_timeout : observe::Flag::client_protocol_error, verdict_.reason);
      after = co_await answer(verdict_.status, verdict_.reason, true);
    } else {
      after = co_await serve_request();
    }
    count_request();
    if (logged()) log_request();
    upstream_.reset();
    retrying_.release();
    held_.reset();
    if (after == After::close) co_await linger();
    if (after == After::reset) client().reset();
    if (after != After::keep) co_return;
    finish_request();
  }
}

/// Reads until in() begins with a whole head. An idle connection holds no buffer.
net::Task<Http1Session::ReadHead> Http1Session::read_head() {
  request_parser_.reset();
  verdict_ = {};
  bool begun = false;
  for (;;) {
    if (!in().empty()) {
      verdict_ = request_parser_.parse(in().view());
      if (verdict_.outcome == http::Outcome::complete) co_return ReadHead::request;
      if (verdict_.outcome == http::Outcome::bad) co_return ReadHead::bad;
      if (!std::exchange(begun, true)) set_waits({.limit = now() + context().settings.limits.header_time});
    } else {
      idle_ = true;
      if (context().draining()) {
        set_waits({.limit = now() + kDrainedRequest});
      } else {
        set_waits({.idle = service().service().settings.http_idle_timeout});
      }
    }
    const error_code waited = co_await wait_for_client();
    net::IoResult read{0, waited};
    if (!waited) {
      auto room = in().space();
      if (room.empty()) {
        in().grow(kLargeHead);
        room = in().space();
      }
      read = client().try_read(room);
      if (read.error == boost::asio::error::would_block) continue;
    }
    idle_ = false;
    if (read.error == boost::asio::error::timed_out && begun) {
      verdict_ = {http::Outcome::bad, 408, "the request's head did not come in time"};
      co_return ReadHead::bad;
    }
    if (read.error) co_return ReadHead::end;
    in().commit(read.bytes);
  }
}

void Http1Session::note_bad_head() {
  if (verdict_.status == 408) return note_exceeded(slot(), observe::Bound::header_time);
  if (verdict_.status == 414) return note_exceeded(slot(), observe::Bound::header_bytes);
  if (verdict_.status != 431) return;
  const bool too_many = verdict_.reason == http::kTooManyFields;
  note_exceeded(slot(), too_many ? observe::Bound::header_fields : observe::Bound::header_bytes);
}

net::Task<error_code> Http1Session::wait_for_client() {
  in().release_if_empty();
  if (!client().drained()) co_return error_code{};
  co_return co_await client().wait_readable();
}

void Http1Session::begin_request() {
  started_ = now();
  status_ = 0;
  counted_ = false;
  replayable_ = true;
  fresh_ = false;
  limit_ = SteadyTime::max();
  record_ = {};
  request_head_.clear();
  replay_.clear();
  tried_.clear();
  retries_ = 0;
  passing_on_ = false;
  body_start_ = {};
  body_ = http::BodyReader();
}

/// A client outlives its service where that is deleted and made again.
void Http1Session::follow_service() {
  if (!service().left) return;
  if (auto again = context().service(service().service().id)) down_.service = std::move(again);
}

net::Task<Http1Session::After> Http1Session::serve_request() {
  begin_request();
  follow_service();
  const http::RequestHead& head = request_parser_.head();
  service().set.retry_budget().on_request();
  if (head.method == http::Method::connect) {
    note(observe::Flag::client_protocol_error, "CONNECT");
    co_return co_await answer(501, "CONNECT is not for a service; the proxy is no forward proxy", true);
  }
  body_ = http::BodyReader(http::request_framing(head));
  const auto rest = in().view().substr(head.length);
  const http::BodyStep step = body_.read(rest);
  record_.bytes_received = head.length + step.consumed;
  if (step.outcome == http::Outcome::bad) {
    note(observe::Flag::client_protocol_error, step.reason);
    co_return co_await answer(400, step.reason, true);
  }
  body_start_ = rest.substr(0, step.consumed);
  http::append_request_head(
      head, {.random = &context().random, .forwarded_proto = "http", .default_host = down_.alias_name}, request_head_);

  for (;;) {
    const Acquired acquired = co_await acquire();
    if (acquired == Acquired::interrupted) {
      note_client_end(client().interrupted());
      co_return After::closed;
    }
    const bool found_endpoint = acquired == Acquired::ready || acquired == Acquired::failed;
    if (held_ != nullptr && !found_endpoint) break;
    if (acquired == Acquired::no_endpoint) {
      note(observe::Flag::no_endpoint, "no endpoint that could be asked");
      co_return co_await answer(503, service_text() + " has no endpoint that could be asked", false);
    }
    if (acquired == Acquired::refused || acquired == Acquired::late) {
      note(observe::Flag::overflow, refusal_);
      co_return co_await answer(acquired == Acquired::late ? 504 : 503, refusal_, false);
    }
    if (acquired == Acquired::ready) {
      co_await attempt();
      if (ended_ == Ended::answered) co_return after_;
      if (ended_ == Ended::client_gone) co_return After::closed;
      if (ended_ == Ended::bad_request) co_return co_await answer(400, reason_, true);
      if (ended_ == Ended::request_cut)
        co_return co_await answer(408, "the request's body did not come to its end", true);
    }
    if (acquired == Acquired::exhausted || !wants_retry()) break;
  }
  if (held_ != nullptr) {
    const After passed_on = co_await pass_on_held_answer();
    co_return passed_on;
  }
  note_failure();
  co_return co_await answer_failure();
}

/// With the reason that note_failure() found: client and access log are told the same.
net::Task<Http1Session::After> Http1Session::answer_failure() {
  std::uint16_t status = 502;
  if (failure_ == upstream::Failure::refused || failure_ == upstream::Failure::unreachable ||
      failure_ == upstream::Failure::no_port)
    status = 503;
  if (failure_ == upstream::Failure::connect_timeout || failure_ == upstream::Failure::timeout) status = 504;
  const auto detail =
      fmt::format("{}, endpoint {}: {}", service_text(), target_.address.to_string(), record_.reason);
  co_return co_await answer(status, detail, false);
}

/// The proxy's own answer.
net::Task<Http1Session::After> Http1Session::answer(std::uint16_t status, std::string_view detail, bool close) {
  upstream_.reset();
  client().resume();  // the wait that was ended, if so, was for another
  set_waits({.limit = now() + kAnswerTime});
  const http::RequestHead& head = request_parser_.head();
  // A client of a service that left finds its way anew.
  close = close || service().left || !body_.complete() || context().draining() || !http::client_persists(head);
  status_ = status;
  response_head_.clear();
  http::append_answer({.status = status,
                       .detail = detail,
                       .close = close,
                       .to_head = verdict_.outcome == http::Outcome::complete && head.method == http::Method::head,
                       .client_minor = verdict_.outcome == http::Outcome::complete ? head.minor : std::uint8_t{1}},
                      response_head_);
  const bool sent = co_await to_client(response_head_, {});
  if (!sent) co_return After::closed;
  co_return close ? After::close : After::keep;
}

/// Closing over unread bytes would send RST, which can overtake the answer (RFC 9112, 9.6). Bounded by time alone: a
/// client in the middle of a large body looks for an answer only now and then.
net::Task<> Http1Session::linger() {
  client().resume();
  client().shutdown_send();
  net::Buffer& scratch = body_in_;
  scratch.release();
  set_waits({.limit = now() + kLingerTime});
  const bool expects_more = !body_.complete() || verdict_.outcome != http::Outcome::complete;
  std::size_t turn = 0;
  for (;;) {
    const auto room = scratch.space();
    net::IoResult read = client().try_read(room);
    if (read.error == boost::asio::error::would_block && !expects_more) co_return;
    if (read.error == boost::asio::error::would_block) read = co_await client().read_some(room);
    if (read.error) co_return;
    turn += read.bytes;
    if (turn >= net::kTurnBytes) {
      turn = 0;
      co_await context().loop.yield();
    }
  }
}

void Http1Session::count_request() {
  if (std::exchange(counted_, true)) return;
  observe::bump(slot().requests[http::status_class(status_)]);
  slot().request_duration.observe(microseconds_since(started_));
}

/// in() begins with what follows the request.
void Http1Session::finish_request() {
  in().consume(request_parser_.head().length + body_start_.size());
  // Read behind a body that did not come with its head: then nothing is left in in().
  if (in().empty() && !body_in_.empty()) in().swap(body_in_);
  body_in_.release();
  upstream_in_.release();
  // Not kept by every idle connection.
  if (replay_.capacity() > kKeptReplayBytes) std::string().swap(replay_);
}

std::string Http1Session::service_text() const {
  const Service& s = service().service();
  return fmt::format("service \"{}\" in namespace \"{}\"", s.discovery_name, s.namespace_name);
}

void Http1Session::on_drain() {
  if (idle_) set_waits({.limit = now() + kDrainedRequest});
}

bool Http1Session::end_if_idle() {
  // A request that is there already is not lost. One that crosses with the end may be (RFC 9112, 9.5).
  if (!idle_ || client().interrupted() || !net::is_quiet(client().fd())) return false;
  // One that has just connected is about to ask: ended for the next one, in a burst of them none would be served.
  const bool served = status_ != 0;
  if (!served && now() - idle_since() < kFirstRequest) return false;
  client().interrupt(boost::asio::error::operation_aborted);
  return true;
}

void Http1Session::on_endpoints_changed() {
  // A tunnel lasts; requests in flight finish on their own.
  if (!tunnelling_ || waits().limit != SteadyTime::max() || service().set.find(target_.id) != nullptr) return;
  Waits ending = waits();
  ending.limit = now() + service().service().settings.drain_timeout;
  set_waits(ending);
}

void Http1Session::interrupt_upstream(error_code reason) {
  if (upstream_ != nullptr) upstream_->interrupt(reason);
  if (waiter_ != nullptr) waiter_->wake();
}

}  // namespace causeway::proxy
