#pragma once
// One connection of the server: requests one after another.
#include <memory>
#include <set>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

#include "web/server.h"

namespace causeway::web {

using Protocol = boost::asio::generic::stream_protocol;
using Socket = boost::asio::basic_stream_socket<Protocol, boost::asio::any_io_executor>;

class Session;

/// What the sessions of a server share.
struct Sessions {
  Handler handler;
  Limits limits;
  std::set<Session*> open;
  bool stopped = false;
};

void start_session(std::shared_ptr<Sessions> sessions, Socket socket);
/// Ends every connection.
void stop_sessions(Sessions& sessions);

}  // namespace causeway::web
