// What sessions tell the access log: completed here, from what they noted on their way.
#include "proxy/access_records.h"

#include <boost/asio/error.hpp>
#include <sys/socket.h>

#include "base/log.h"
#include "http/rewrite.h"
#include "net/socket_options.h"
#include "proxy/http1_session.h"
#include "proxy/tcp_session.h"

namespace causeway::proxy {

using observe::Flag;

std::optional<SocketAddress> peer_of(int fd) {
  sockaddr_storage storage;
  socklen_t length = sizeof storage;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return std::nullopt;
  return SocketAddress::from(storage);
}

void write_record(Context& context, const Service& service, ClientId client, SteadyTime started,
                  observe::AccessRecord& record) {
  record.duration = std::chrono::steady_clock::now() - started;
  record.start = context.clock.wall() - std::chrono::duration_cast<WallTime::duration>(record.duration);
  record.client = context.client_name(client);
  record.namespace_name = service.namespace_name;
  record.discovery_name = service.discovery_name;
  context.access_log.write(record, service.access_log);
}

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

void Session::note(Flag flag, std::string_view reason) {
  record_.flags.set(flag);
  if (record_.reason.empty()) record_.reason = reason;
}

void Session::note_client_end(boost::system::error_code error) {
  if (error == boost::asio::error::timed_out) return note(Flag::idle_timeout, "the client took nothing in time");
  if (error == boost::asio::error::operation_aborted) return note(Flag::local_reset, "the proxy's drain time was over");
  note(Flag::client_gone, "the client ended the connection");
}

void Session::learn_peer() {
  if (!down_.peer && logged()) down_.peer = peer_of(client().fd());
}

void Session::write_record(SteadyTime started) {
  learn_peer();
  record_.peer = down_.peer;
  proxy::write_record(context(), service().service(), down_.client_id, started, record_);
}

void Session::note_unconnected(upstream::Failure failure) {
  if (failure == upstream::Failure::connect_timeout) return note(Flag::connect_failure, "not connected in time");
  if (failure == upstream::Failure::no_port)
    return note(Flag::overflow, "this host has no free port left for a connection to the endpoint");
  if (failure == upstream::Failure::unreachable) return note(Flag::connect_failure, "unreachable");
  note(Flag::connect_failure, "connection refused");
}

/// A relayed connection broke, or was broken: `error` is the first that either side met.
void Session::note_relay_end(boost::system::error_code error) {
  if (error == boost::asio::error::timed_out) {
    if (limit_passed_) return note(Flag::local_reset, "the endpoint left, and its drain time was over");
    return note(Flag::idle_timeout, "nothing was sent for too long");
  }
  if (error == boost::asio::error::operation_aborted || error == boost::asio::error::connection_aborted)
    return note_client_end(error);
  if (net::peer_is_gone(client().fd())) return note_client_end(error);
  note(Flag::upstream_closed, "the endpoint broke the connection");
}

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

bool TcpSession::unconnected(upstream::Failure failure) {
  if (record_.retries > 0) record_.flags.set(Flag::retries_exhausted);
  note_unconnected(failure);
  return false;
}

TcpSession::~TcpSession() {
  if (!logged() || handed_over_) return;
  try {
    record_.protocol = "TCP";
    write_record(started_);
  } catch (const std::exception& failure) {
    log::error("a line of the access log is lost: {}", failure.what());
  }
}

}  // namespace causeway::proxy
