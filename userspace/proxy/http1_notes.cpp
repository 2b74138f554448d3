// What an HTTP/1 session notes for the access log: how its request ended, and why.
#include <boost/asio/error.hpp>

#include "http/rewrite.h"
#include "proxy/http1_session.h"

namespace causeway::proxy {

using observe::Flag;

namespace {

/// The x-request-id that the endpoint got: the client's, or the one made for it in `sent`.
std::string_view request_id_of(const http::RequestHead& head, std::string_view sent) {
  if (const auto own = http::own_request_id(head); !own.empty()) return own;
  constexpr std::string_view kField = "\r\nx-request-id: ";
  const std::size_t at = sent.rfind(kField);
  if (at == std::string_view::npos) return {};
  const auto value = sent.substr(at + kField.size());
  return value.substr(0, value.find("\r\n"));
}

}  // namespace

void Http1Session::log_request() {
  record_.status = status_;
  record_.retries = retries_;
  record_.protocol = "HTTP/1.1";
  if (verdict_.outcome == http::Outcome::complete) {
    const http::RequestHead& head = request_parser_.head();
    if (head.minor == 0) record_.protocol = "HTTP/1.0";
    record_.method = head.method_text;
    record_.path = head.method == http::Method::connect ? head.target : head.path;
    record_.authority = head.authority;
    record_.request_id = request_id_of(head, request_head_);
  }
  write_record(started_);
}

/// For a tunnel: what follows the request takes its place in in().
void Http1Session::keep_head() {
  kept_head_.assign(in().view().substr(0, request_parser_.head().length));
  request_parser_.reset();
  verdict_ = request_parser_.parse(kept_head_);
}

/// The request's time is over, or its service's idle time.
void Http1Session::note_timeout() {
  if (now() >= limit_) {
    note(Flag::upstream_timeout, "no whole response in time");
  } else {
    note(Flag::idle_timeout, "nothing came from the endpoint for too long");
  }
}

void Http1Session::note_failure() {
  if (retries_ > 0) record_.flags.set(Flag::retries_exhausted);
  switch (failure_) {
    case upstream::Failure::refused:
    case upstream::Failure::unreachable:
    case upstream::Failure::connect_timeout:
    case upstream::Failure::no_port:
      return note_unconnected(failure_);
    case upstream::Failure::timeout:
      return note_timeout();
    case upstream::Failure::bad_response:
      return note(Flag::upstream_protocol_error, reason_);
    case upstream::Failure::reset:
    case upstream::Failure::server_error:
    case upstream::Failure::unavailable:
    case upstream::Failure::given_up:
      return note(Flag::upstream_closed, "the connection ended before the response");
  }
}

/// Of a response that had begun.
void Http1Session::note_cut(boost::system::error_code error) {
  if (ended_ != Ended::undecided) return;  // the request's side was first
  if (error == boost::asio::error::timed_out) return note_timeout();
  if (error == boost::asio::error::operation_aborted || error == boost::asio::error::connection_aborted)
    return note_client_end(error);
  note(Flag::upstream_closed, "the connection ended inside the response");
}

}  // namespace causeway::proxy
