// What a session of any protocol notes for the access log on its way.
#include <boost/asio/error.hpp>

#include "net/socket_options.h"
#include "proxy/session.h"

namespace causeway::proxy {

using observe::Flag;

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

}  // namespace causeway::proxy
