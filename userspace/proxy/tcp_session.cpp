#include "proxy/tcp_session.h"

#include <vector>

#include <boost/asio/error.hpp>

#include "base/log.h"
#include "net/join.h"
#include "upstream/retry.h"

namespace causeway::proxy {

using boost::system::error_code;

TcpSession::TcpSession(Downstream& downstream) : Session(downstream), started_(now()) {}

TcpSession::~TcpSession() {
  if (!logged() || handed_over_) return;
  try {
    record_.protocol = "TCP";
    write_record(started_);
  } catch (const std::exception& failure) {
    log::error("a line of the access log is lost: {}", failure.what());
  }
}

/// HTTP/2 and gRPC are HTTP, though they are relayed.
std::chrono::milliseconds TcpSession::idle_timeout() const {
  const Service& s = service().service();
  const bool http = s.protocol == AppProtocol::http2 || s.protocol == AppProtocol::grpc;
  return http ? s.settings.http_idle_timeout : s.settings.idle_timeout;
}

void TcpSession::count_refusal(const Choice& choice, bool first) {
  if (choice.kind == Choice::Kind::full) return count_overflow(slot(), choice.limit);
  if (!first) return;  // the endpoints that were tried are counted
  observe::bump(slot().connections_failed[static_cast<std::size_t>(observe::FailureReason::no_endpoint)]);
}

TcpSession::Connected TcpSession::unconnected(upstream::Failure failure) {
  if (record_.retries > 0) record_.flags.set(observe::Flag::retries_exhausted);
  note_unconnected(failure);
  return Connected::no;
}

void TcpSession::refuse_full() {
  count_overflow(slot(), full_);
  note(observe::Flag::overflow, "a limit of the service is reached");
}

net::Task<TcpSession::Connected> TcpSession::connect() {
  ServiceState& state = service();
  std::vector<EndpointId> tried;
  auto failure = upstream::Failure::refused;
  set_waits({.watch_client = true});
  Hold retrying;
  for (unsigned retries = 0;; ++retries) {
    Choice choice = state.choose(tried, ServiceState::From::dial, slot());
    if (choice.kind == Choice::Kind::full && tried.empty()) {
      full_ = choice.limit;
      co_return Connected::full;
    }
    if (choice.kind == Choice::Kind::none || choice.kind == Choice::Kind::full) {
      count_refusal(choice, tried.empty());
      if (!tried.empty()) co_return unconnected(failure);
      note(observe::Flag::no_endpoint, "no endpoint that could be asked");
      co_return Connected::no;
    }
    if (!tried.empty()) observe::bump(slot().retries);
    record_.retries = retries;
    target_ = choice.target;
    record_.upstream = target_.address;
    Dialled dialled =
        co_await dial(context(), connector_, down_.service, slot(), target_, std::move(choice.lease), SteadyTime::max());
    if (dialled.end == DialEnd::connected) {
      state.report_success(target_.id, slot());
      upstream_ = std::move(dialled.connection);
      if (!client().interrupted()) co_return Connected::yes;
      note_client_end(client().interrupted());
      co_return Connected::no;
    }
    if (dialled.end == DialEnd::interrupted) note_client_end(client().interrupted());
    if (dialled.end == DialEnd::limited) note(observe::Flag::overflow, kHostLimit);
    if (dialled.end != DialEnd::failed) co_return Connected::no;
    failure = dialled.failure;
    const upstream::Attempt attempt{.failure = failure, .retries = retries};
    const auto next = upstream::decide(attempt, state.settings(), state.set.retry_budget());
    if (next != upstream::Retry::other_endpoint) co_return unconnected(failure);
    if (!retrying) {
      retrying = Hold(state.usage(), &upstream::ServiceUsage::retries, state.settings().max_retries,
                      slot().retries_active);
      if (!retrying) {
        count_overflow(slot(), observe::Overflow::retries);
        record_.flags.set(observe::Flag::overflow);
        co_return unconnected(failure);
      }
    }
    tried.push_back(target_.id);
  }
}

namespace {

/// Waits for `watched`; the first to see something ends the wait of the other.
net::Task<> watch(net::Connection& watched, net::Connection& other, TcpSession::Speaker who,
                  TcpSession::Speaker& first) {
  const error_code error = co_await watched.wait_readable();
  if (first != TcpSession::Speaker::nobody || error) co_return;
  first = who;
  other.interrupt(boost::asio::error::operation_aborted);
}

}  // namespace

net::Task<TcpSession::Speaker> TcpSession::first_to_speak() {
  set_waits({.idle = idle_timeout()});
  Speaker first = Speaker::nobody;
  auto from_client = watch(client(), *upstream_, Speaker::client, first);
  auto from_server = watch(*upstream_, client(), Speaker::server, first);
  co_await net::join(std::move(from_client), std::move(from_server));
  if (first == Speaker::nobody) {
    note_relay_end(client().interrupted());
    co_return first;
  }
  (first == Speaker::client ? *upstream_ : client()).resume();
  co_return first;
}

void TcpSession::give_to_pool() {
  handed_over_ = true;
  service().give_back(target_, std::move(upstream_));
}

net::Task<> TcpSession::run() {
  set_waits({.idle = idle_timeout()});
  on_endpoints_changed();  // the endpoint may have left while the connect waited
  net::Buffer back_buffer(context().buffers);
  const error_code error = co_await relay(*upstream_, back_buffer);
  if (!error) co_return;
  note_relay_end(error);
  // What broke on one side breaks on the other: neither may take it for a regular end.
  client().reset();
  upstream_->reset();
}

void TcpSession::on_endpoints_changed() {
  if (upstream_ == nullptr || waits().limit != SteadyTime::max()) return;
  if (service().set.find(target_.id) != nullptr) return;
  Waits ending = waits();
  ending.limit = now() + service().service().settings.drain_timeout;
  set_waits(ending);
}

void TcpSession::interrupt_upstream(error_code reason) {
  if (upstream_ != nullptr) upstream_->interrupt(reason);
}

}  // namespace causeway::proxy
