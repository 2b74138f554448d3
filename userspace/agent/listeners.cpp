#include "agent/listeners.h"

#include <dirent.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "base/log.h"

namespace causeway::agent {
namespace {

constexpr int kBacklog = 4096;

bool set_option(const Fd& fd, int level, int name) {
  const int on = 1;
  return ::setsockopt(fd.get(), level, name, &on, sizeof on) == 0;
}

Result<Fd> bound_socket(const SocketAddress& address, bool reuse_port) {
  sockaddr_storage storage;
  const auto length = address.to(storage);
  Fd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno_error(errno, "open socket for", address.to_string());
  set_option(fd, SOL_SOCKET, SO_REUSEADDR);
  if (reuse_port) set_option(fd, SOL_SOCKET, SO_REUSEPORT);
  if (storage.ss_family == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) {
    auto error = errno_error(errno, "listen on", address.to_string());
    if (errno == EADDRINUSE) error.cause += "; another program holds the port: end it or set listen.proxy_port";
    return error;
  }
  return fd;
}

bool family_missing(const Error& error) { return error.code == EAFNOSUPPORT || error.code == EADDRNOTAVAIL; }

Result<void> add_listeners(std::vector<Fd>& listeners, const SocketAddress& address, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    auto fd = bound_socket(address, true);
    if (!fd) return fd.error();
    if (::listen(fd->get(), kBacklog) != 0) return errno_error(errno, "listen on", address.to_string());
    listeners.push_back(std::move(*fd));
  }
  return {};
}

std::optional<SocketAddress> address_of(const Fd& fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length) != 0) return std::nullopt;
  return SocketAddress::from(storage);
}

/// Two descriptors of one socket have one cookie (SO_COOKIE, Linux 4.12).
std::uint64_t cookie_of(const Fd& fd) {
  std::uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_COOKIE, &cookie, &length);
  return cookie;
}

Fd listening_copy(int pidfd, int number) {
  Fd copy(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd, number, 0)));
  int listening = 0;
  socklen_t length = sizeof listening;
  if (!copy || ::getsockopt(copy.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0 || listening == 0) return {};
  return copy;
}

std::vector<int> open_descriptors(int pid) {
  std::vector<int> numbers;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(fmt::format("/proc/{}/fd", pid).c_str()), ::closedir);
  if (directory == nullptr) return numbers;
  while (const dirent* entry = ::readdir(directory.get())) {
    if (entry->d_name[0] != '.') numbers.push_back(std::atoi(entry->d_name));
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

}  // namespace

Result<std::vector<Fd>> open_listeners(const std::vector<SocketAddress>& addresses, unsigned workers) {
  std::vector<Fd> listeners;
  for (const auto& address : addresses) {
    // Without SO_REUSEPORT first: with it, a second agent of this network namespace would silently take half of the connections.
    if (auto probe = bound_socket(address, false); !probe) {
      if (!family_missing(probe.error())) return probe.error();
      log::warn("{}; this address family is not served", probe.error().message());
      continue;
    }
    if (auto added = add_listeners(listeners, address, workers); !added) return added.error();
  }
  if (listeners.empty()) return make_error("open the proxy's listeners", "", "neither IPv4 nor IPv6 loopback is up; run: ip link set lo up");
  return listeners;
}

std::vector<Orphan> find_orphans(const std::string& proxy_cgroup) {
  std::vector<Orphan> orphans;
  std::ifstream procs(proxy_cgroup + "/cgroup.procs");
  for (int pid = 0; procs >> pid;) {
    Orphan orphan;
    orphan.pid = pid;
    orphan.pidfd = Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!orphan.pidfd) continue;
    for (const int number : open_descriptors(pid)) {
      if (auto copy = listening_copy(orphan.pidfd.get(), number)) orphan.listeners.push_back(std::move(copy));
    }
    orphans.push_back(std::move(orphan));
  }
  return orphans;
}

Result<std::vector<Fd>> take_over_listeners(std::vector<Orphan>& orphans, const std::vector<SocketAddress>& addresses,
                                            unsigned workers) {
  std::map<SocketAddress, std::vector<Fd>> by_address;
  std::set<std::uint64_t> seen;
  for (auto& orphan : orphans) {
    for (auto& listener : std::exchange(orphan.listeners, {})) {
      const auto address = address_of(listener);
      if (address && seen.insert(cookie_of(listener)).second) by_address[*address].push_back(std::move(listener));
    }
  }
  std::vector<Fd> listeners;
  for (const auto& address : addresses) {
    auto taken = std::move(by_address[address]);
    const std::size_t missing = taken.size() < workers ? workers - taken.size() : 0;
    if (auto added = add_listeners(taken, address, missing); !added && !family_missing(added.error())) return added.error();
    for (auto& listener : taken) listeners.push_back(std::move(listener));
  }
  return listeners;
}

}  // namespace causeway::agent
