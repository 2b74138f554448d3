#include "net/connect.h"

#include <cerrno>

#include <sys/socket.h>

#include "net/socket_options.h"

namespace causeway::net {

using boost::system::error_code;

Task<Connected> Connector::connect(SocketAddress peer, std::chrono::nanoseconds timeout) {
  auto socket = tcp_socket(peer);
  if (!socket) co_return Connected{nullptr, error_code(socket.error().code, boost::system::system_category())};
  sockaddr_storage storage;
  const socklen_t length = peer.to(storage);
  int code = 0;
  if (::connect(socket->get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) code = errno;
  if (code != 0 && code != EINPROGRESS && code != EINTR) {
    co_return Connected{nullptr, error_code(code, boost::system::system_category())};
  }
  const auto state = code != 0 ? Connection::State::connecting : Connection::State::connected;
  auto connection = std::make_unique<Connection>(loop_, std::move(*socket), state);
  if (connection->interrupted()) co_return Connected{nullptr, connection->interrupted()};  // it cannot be watched
  if (code != 0) {
    Deadline deadline(
        loop_.wheel, [](void* c) { static_cast<Connection*>(c)->interrupt(boost::asio::error::timed_out); },
        connection.get());
    deadline.expires_after(timeout);
    pending_ = connection.get();
    error_code error = co_await connection->wait_writable();
    pending_ = nullptr;
    if (!error) error = pending_error(connection->fd());
    if (error) co_return Connected{nullptr, error};
  }
  co_return Connected{std::move(connection), {}};
}

}  // namespace causeway::net
