#include "web/listen.h"

#include <cerrno>
#include <cstring>

#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace causeway::web {
namespace {

constexpr int kSocketFlags = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

/// Whether somebody accepts on that Unix socket.
bool answers(const sockaddr_un& address, socklen_t length) {
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe && ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0;
}

/// Removes a socket file whose process is gone. Anything else that stands there is left alone.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address, socklen_t length) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) {
    return make_error("listen on", path,
                      "a file that is no socket stands there; move it away or set another run directory");
  }
  if (answers(address, length)) {
    return make_error("listen on", path, "another agent listens on it; stop that one or set another run directory");
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return errno_error(errno, "remove the stale socket", path);
  return {};
}

}  // namespace

Result<Fd> open_tcp_listener(const SocketAddress& address) {
  sockaddr_storage storage;
  const auto length = address.to(storage);
  Fd fd(::socket(storage.ss_family, kSocketFlags, IPPROTO_TCP));
  if (!fd) return errno_error(errno, "open a socket for", address.to_string());
  const int one = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (storage.ss_family == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0 &&
      ::listen(fd.get(), SOMAXCONN) == 0) {
    return fd;
  }
  auto failed = errno_error(errno, "listen on", address.to_string());
  if (failed.code == EADDRINUSE) {
    failed.cause += fmt::format(
        "; `ss -ltnp sport = :{}` shows by whom; set another address for this listener under "
        "[listen] in causeway.toml",
        address.port);
  } else if (failed.code == EADDRNOTAVAIL) {
    failed.cause += "; this host does not have that address: set one that it has under [listen] in causeway.toml";
  }
  return failed;
}

Result<Fd> open_unix_listener(const std::string& path, unsigned mode) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return make_error("listen on", path,
                      fmt::format("a Unix socket's path has 1 to {} characters (unix(7)); set a shorter run directory",
                                  sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  if (auto removed = remove_stale(path, address, length); !removed) return removed.error();
  Fd fd(::socket(AF_UNIX, kSocketFlags, 0));
  if (!fd) return errno_error(errno, "open a socket for", path);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    return errno_error(errno, "listen on", path);
  }
  // Nobody can connect before listen(), so the mode is in force for every connection.
  if (::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0 || ::listen(fd.get(), SOMAXCONN) != 0) {
    auto failed = errno_error(errno, "listen on", path);
    ::unlink(path.c_str());
    return failed;
  }
  return fd;
}

Result<SocketAddress> local_address(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) {
    return errno_error(errno, "read the address of", "listener");
  }
  const auto address = SocketAddress::from(storage);
  if (!address) return make_error("read the address of", "listener", "not an Internet socket");
  return *address;
}

}  // namespace causeway::web
