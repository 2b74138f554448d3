// The response's way from the endpoint to the client.
#include <boost/asio/error.hpp>

#include "base/log.h"
#include "http/framing.h"
#include "http/rewrite.h"
#include "proxy/http1_session.h"
#include "proxy/refusal.h"

namespace causeway::proxy {

using boost::system::error_code;

namespace {
/// Interim responses passed on for one request; each prolongs the wait for the final one.
constexpr unsigned kInterimHeads = 64;
/// Written one by one, their framing taken off, before the worker's other connections get their turn.
constexpr unsigned kTurnChunks = 64;
}  // namespace

net::Task<> Http1Session::respond() {
  const bool whole_head = co_await read_response_head();
  if (whole_head) co_await forward_response();
}

/// Ends pump_body(), which may still wait for either side. Only there: without it, the interrupt would hit the next
/// attempt's answer to the client.
net::Task<> Http1Session::respond_beside_pump() {
  co_await respond();
  if (request_sent_ || upstream_ == nullptr) co_return;
  upstream_->interrupt(boost::asio::error::operation_aborted);
  client().interrupt(boost::asio::error::operation_aborted);
}

/// Until upstream_in_ begins with a final head; interim ones are passed on.
net::Task<bool> Http1Session::read_response_head() {
  for (;;) {
    if (!upstream_in_.empty()) {
      const http::Verdict verdict = response_parser_.parse(upstream_in_.view());
      if (verdict.outcome == http::Outcome::bad) {
        ended_ = Ended::failed;
        failure_ = upstream::Failure::bad_response;
        reason_ = verdict.reason;
        co_return false;
      }
      if (verdict.outcome == http::Outcome::complete) {
        const bool final = co_await take_response_head();
        if (final || ended_ != Ended::undecided) co_return final;
        continue;
      }
    }
    if (upstream_->drained()) {
      upstream_in_.release_if_empty();
      const error_code error = co_await upstream_->wait_readable();
      if (error) {
        fail_from(error);
        co_return false;
      }
    }
    auto room = upstream_in_.space();
    if (room.empty()) {
      upstream_in_.grow(kLargeHead);
      room = upstream_in_.space();
    }
    const net::IoResult read = co_await upstream_->read_some(room);
    if (read.error) {
      fail_from(read.error);
      co_return false;
    }
    upstream_in_.commit(read.bytes);
    observe::bump(slot().bytes_received, read.bytes);
    if (!std::exchange(response_begun_, true) && logged()) record_.first_byte = now() - started_;
  }
}

/// True: the final head. False: an interim one, passed on and taken off; or `ended_` says what is wrong.
net::Task<bool> Http1Session::take_response_head() {
  const http::RequestHead& request = request_parser_.head();
  const http::ResponseHead& head = response_parser_.head();
  if (http::is_unexpected_upgrade(request, head)) {
    ended_ = Ended::failed;
    failure_ = upstream::Failure::bad_response;
    reason_ = "101 Switching Protocols that was not asked for";
    co_return false;
  }
  if (!http::is_interim(head)) co_return true;
  if (!http::upstream_persists(request, head, http::response_framing(request, head))) last_response_ = true;
  if (++interim_heads_ > kInterimHeads) {
    ended_ = Ended::failed;
    failure_ = upstream::Failure::bad_response;
    reason_ = "too many interim (1xx) responses";
    co_return false;
  }
  if (request.minor > 0) {
    response_head_.clear();
    http::append_response_head(head, {.client_minor = request.minor}, response_head_);
    const bool sent = co_await to_client(response_head_, {});
    if (!sent) co_return false;
  }
  upstream_in_.consume(head.length);
  response_parser_.reset();
  touch();
  co_return false;
}

net::Task<> Http1Session::forward_response() {
  const http::RequestHead& request = request_parser_.head();
  const http::ResponseHead& head = response_parser_.head();
  const http::Framing framing = http::response_framing(request, head);
  if (set_answer_aside(framing)) co_return;
  held_.reset();
  status_ = head.status;
  report_response();
  if (framing.kind == http::BodyKind::tunnel) {
    co_await tunnel();
    co_return;
  }
  const bool dechunk = http::needs_dechunking(request, framing);
  const bool keep = http::client_persists(request) && request_sent_ && !context().draining() &&
                    framing.kind != http::BodyKind::until_close && !dechunk;
  const bool persists = !last_response_ && http::upstream_persists(request, head, framing);
  response_head_.clear();
  http::append_response_head(head, {.client_minor = request.minor, .keep_alive = keep, .dechunk = dechunk},
                             response_head_);
  upstream_in_.consume(head.length);
  http::BodyReader body(framing);
  const bool begun = co_await forward_bytes(response_head_, body, dechunk);
  if (!begun) co_return;
  const bool whole = co_await stream_body(body, dechunk);
  if (!whole) co_return;
  ended_ = Ended::answered;
  after_ = keep ? After::keep : After::close;
  // A byte beyond the response would be taken for the next one's.
  if (persists && request_sent_ && upstream_ != nullptr && upstream_in_.empty() && !context().draining() &&
      service().set.may_reuse(target_.id)) {
    service().give_back(target_, std::move(upstream_));
  }
}

/// What is at hand of the body, behind `head`. False: `ended_` and `after_` say why not.
net::Task<bool> Http1Session::forward_bytes(std::string_view head, http::BodyReader& body, bool dechunk) {
  unsigned turn = 0;
  do {
    if (++turn == kTurnChunks) {
      turn = 0;
      co_await context().loop.yield();
    }
    const auto bytes = upstream_in_.view();
    const http::BodyStep step = dechunk ? body.next(bytes) : body.read(bytes);
    if (step.outcome == http::Outcome::bad) {
      // Nothing sent: it can still be a 502. Otherwise the client must see that the response is cut.
      if (head.empty()) {
        note(observe::Flag::upstream_protocol_error, step.reason);
        report_failed_answer();
      }
      ended_ = head.empty() ? Ended::answered : Ended::failed;
      after_ = After::reset;
      failure_ = upstream::Failure::bad_response;
      reason_ = step.reason;
      co_return false;
    }
    const auto part = dechunk ? step.data : bytes.substr(0, step.consumed);
    if (!head.empty() || !part.empty()) {
      const bool sent = co_await to_client(head, part);
      if (!sent) co_return false;
    }
    head = {};
    upstream_in_.consume(step.consumed);
  } while (dechunk && !body.complete() && !upstream_in_.empty());
  co_return true;
}

net::Task<bool> Http1Session::stream_body(http::BodyReader& body, bool dechunk) {
  std::size_t turn = 0;
  while (!body.complete()) {
    error_code error;
    if (turn >= net::kTurnBytes) {
      turn = 0;
      co_await context().loop.yield();
    }
    if (upstream_->drained()) {
      upstream_in_.release_if_empty();
      error = co_await upstream_->wait_readable();
    }
    net::IoResult read;
    if (!error) {
      if (upstream_in_.empty() && body.is_counted() && body.remaining() >= net::kSpliceFrom) {
        const std::uint64_t before = body.remaining();
        const bool going_on = co_await splice_body(body);
        if (!going_on) co_return false;
        if (body.remaining() < before) continue;
      }
      read = upstream_->try_read(upstream_in_.space());
      if (read.error == boost::asio::error::would_block) continue;
      error = read.error;
    }
    if (error == boost::asio::error::eof && body.may_end_by_close()) break;
    if (error) {
      response_cut(error);
      co_return false;
    }
    upstream_in_.commit(read.bytes);
    observe::bump(slot().bytes_received, read.bytes);
    turn += read.bytes;
    touch();
    const bool sent = co_await forward_bytes({}, body, dechunk);
    if (!sent) co_return false;
    touch();
  }
  co_return true;
}

/// What comes of a body without a pause, past this process. False: `ended_` and `after_` say what broke.
net::Task<bool> Http1Session::splice_body(http::BodyReader& body) {
  net::BorrowedPipe pipe(context().pipes);
  if (!pipe) co_return true;
  upstream_in_.release();
  net::Splicing splicing{*upstream_, client(), body.remaining(), this, [](void* self, std::size_t bytes) {
                           auto& session = *static_cast<Http1Session*>(self);
                           session.touch();
                           observe::bump(session.slot().bytes_received, bytes);
                           session.record_.bytes_sent += bytes;
                         }};
  const net::Splicing::Result result = co_await splicing.run(pipe);
  body.skip(result.bytes);
  switch (result.end) {
    case net::Splicing::End::limit:
    case net::Splicing::End::source_quiet:
      co_return true;
    case net::Splicing::End::source_ended:
      response_cut(boost::asio::error::eof);
      co_return false;
    case net::Splicing::End::source_failed:
      response_cut(result.error);
      co_return false;
    case net::Splicing::End::sink_failed:
      break;
  }
  note_client_end(result.error);
  ended_ = Ended::answered;
  after_ = After::reset;
  co_return false;
}

/// Never passed off as whole: without a length or chunks, only RST tells the client.
void Http1Session::response_cut(error_code error) {
  log::debug("{}: the response of {} was cut: {}", service_text(), target_.address.to_string(), error.message());
  note_cut(error);
  const bool by_client =
      error == boost::asio::error::operation_aborted || error == boost::asio::error::connection_aborted;
  if (!by_client) report_failed_answer();
  ended_ = Ended::answered;
  after_ = After::reset;
  observe::bump(slot().connections_failed[static_cast<std::size_t>(
      error == boost::asio::error::timed_out ? observe::FailureReason::timeout : observe::FailureReason::reset)]);
}

/// False: the client is gone, or took nothing in time.
net::Task<bool> Http1Session::to_client(std::string_view first, std::string_view second) {
  std::array<iovec, 2> parts{
      {{const_cast<char*>(first.data()), first.size()}, {const_cast<char*>(second.data()), second.size()}}};
  std::size_t written = 0;
  const error_code error = co_await client().write_all(parts, &written);
  record_.bytes_sent += written;
  if (!error) co_return true;
  note_client_end(error);
  ended_ = Ended::answered;
  after_ = After::reset;
  co_return false;
}

/// After 101: another protocol's bytes, until both sides have ended.
net::Task<> Http1Session::tunnel() {
  const http::RequestHead& request = request_parser_.head();
  const http::ResponseHead& head = response_parser_.head();
  response_head_.clear();
  http::append_response_head(head, {.client_minor = request.minor}, response_head_);
  const bool sent = co_await to_client(response_head_, {});
  if (!sent) co_return;
  count_request();
  upstream_in_.consume(head.length);
  const std::size_t length = request.length;
  keep_head();
  in().consume(length);
  tunnelling_ = true;
  ended_ = Ended::answered;
  after_ = After::closed;
  set_waits({.idle = service().service().settings.http_idle_timeout});
  on_endpoints_changed();
  const error_code error = co_await relay(*upstream_, upstream_in_);
  tunnelling_ = false;
  if (!error) co_return;
  note_relay_end(error);
  after_ = After::reset;
  upstream_->reset();
}

/// The upstream's end or error before the response's head.
void Http1Session::fail_from(error_code error) {
  const error_code interrupted = upstream_->interrupted();
  if (interrupted == boost::asio::error::timed_out) {
    if (waiting_for_body_) {
      note_exceeded(slot(), observe::Bound::body_idle);
      note(observe::Flag::idle_timeout, "the request's body did not come in time");
    }
    ended_ = waiting_for_body_ ? Ended::request_cut : Ended::failed;
    failure_ = upstream::Failure::timeout;
  } else if (interrupted) {
    if (ended_ == Ended::undecided) {
      note_client_end(interrupted);
      ended_ = Ended::client_gone;
    }
  } else {
    (void)error;  // an end, a reset, a broken route: the same to a request without a response
    ended_ = Ended::failed;
    failure_ = upstream::Failure::reset;
  }
}

}  // namespace causeway::proxy
