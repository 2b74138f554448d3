#include "web/server.h"

#include <cerrno>
#include <list>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "web/listen.h"
#include "web/session.h"

namespace causeway::web {
namespace asio = boost::asio;

using Acceptor = asio::basic_socket_acceptor<Protocol>;

struct Server::State : std::enable_shared_from_this<Server::State> {
  State(asio::any_io_executor e, Handler h, Limits l) : executor(std::move(e)), sessions{std::move(h), l, {}, false} {}

  asio::any_io_executor executor;
  Sessions sessions;
  std::list<Acceptor> acceptors;
  struct SocketFile {
    std::string path;
    ino_t inode;
  };
  std::vector<SocketFile> files;

  Result<void> add(Fd listener);
  static asio::awaitable<void> accept(std::shared_ptr<State> self, Acceptor& acceptor);
};

Server::Server(asio::any_io_executor executor, Handler handler, Limits limits)
    : state_(std::make_shared<State>(std::move(executor), std::move(handler), limits)) {}

Server::~Server() {
  stop();
}

asio::awaitable<void> Server::State::accept(std::shared_ptr<State> self, Acceptor& acceptor) {
  asio::steady_timer pause(self->executor);
  for (;;) {
    boost::system::error_code ec;
    Socket socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, ec));
    if (self->sessions.stopped) co_return;
    if (!ec) {
      start_session(std::shared_ptr<Sessions>(self, &self->sessions), std::move(socket));
      continue;
    }
    if (ec == asio::error::operation_aborted || ec == asio::error::bad_descriptor) co_return;
    if (ec == boost::system::errc::too_many_files_open || ec == boost::system::errc::too_many_files_open_in_system ||
        ec == boost::system::errc::not_enough_memory || ec == boost::system::errc::no_buffer_space) {
      // The connection stays in the backlog: without a pause this would spin until a descriptor is free.
      log::warn("accept: {}", ec.message());
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    }
  }
}

Result<void> Server::State::add(Fd listener) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return errno_error(errno, "take over", "listener");
  }
  boost::system::error_code ec;
  auto& acceptor = acceptors.emplace_back(executor);
  acceptor.assign(Protocol(address.ss_family, address.ss_family == AF_UNIX ? 0 : IPPROTO_TCP), listener.get(), ec);
  if (ec) {
    acceptors.pop_back();
    return errno_error(ec.value(), "take over", "listener");
  }
  listener.release();
  asio::co_spawn(executor, accept(shared_from_this(), acceptor), asio::detached);
  return {};
}

Result<SocketAddress> Server::listen_tcp(SocketAddress address) {
  auto listener = open_tcp_listener(address);
  if (!listener) return listener.error();
  auto local = local_address(listener->get());
  if (!local) return local.error();
  if (auto added = state_->add(std::move(*listener)); !added) return added.error();
  return *local;
}

Result<void> Server::listen_unix(const std::string& path, unsigned mode) {
  auto listener = open_unix_listener(path, mode);
  if (!listener) return listener.error();
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) state_->files.push_back({path, info.st_ino});
  return state_->add(std::move(*listener));
}

Result<void> Server::adopt(Fd listener) {
  return state_->add(std::move(listener));
}

void Server::stop() {
  auto& state = *state_;
  if (std::exchange(state.sessions.stopped, true)) return;
  for (auto& acceptor : state.acceptors) {
    boost::system::error_code ignored;
    acceptor.close(ignored);
  }
  for (const auto& file : std::exchange(state.files, {})) {
    struct stat info {};
    // Not one that a successor put there meanwhile.
    if (::lstat(file.path.c_str(), &info) == 0 && info.st_ino == file.inode) ::unlink(file.path.c_str());
  }
  stop_sessions(state.sessions);
}

}  // namespace causeway::web
