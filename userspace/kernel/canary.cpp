#include "kernel/canary.h"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "causeway/abi/origin.h"
#include "kernel/encode.h"

namespace causeway::kernel {
namespace {

constexpr timeval kDialWithin{1, 0};
constexpr int kAcceptWithinMs = 1000;
constexpr std::uint16_t kCanaryPort = 1;

[[noreturn]] void dial_and_exit(const sockaddr_storage& address, socklen_t length) {
  const int fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) ::_exit(errno);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kDialWithin, sizeof kDialWithin);  // bounds connect() too (socket(7))
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0) ::_exit(errno);
  ::_exit(0);
}

/// A listener on a free port of 127.0.0.1.
Result<Fd> listen_on_loopback(SocketAddress& bound) {
  Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_storage address{};
  socklen_t length = SocketAddress{IpAddress::v4(INADDR_LOOPBACK), 0}.to(address);
  if (!listener || ::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &(length = sizeof address)) != 0) {
    return errno_error(errno, "listen for", "the canary");
  }
  bound = SocketAddress::from(address).value_or(SocketAddress{});
  return listener;
}

/// A cgroup for the canary's short life.
class CanaryCgroup {
 public:
  explicit CanaryCgroup(std::string path) : path_(std::move(path)) {
    made_ = ::mkdir(path_.c_str(), 0755) == 0 || errno == EEXIST;
  }
  ~CanaryCgroup() {
    if (made_) ::rmdir(path_.c_str());
  }
  CanaryCgroup(const CanaryCgroup&) = delete;
  CanaryCgroup& operator=(const CanaryCgroup&) = delete;

  explicit operator bool() const { return made_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool made_ = false;
};

/// The connection that waits at `listener`, if any, came from a dial of `target`.
bool brings_origin(const Fd& listener, const SocketAddress& target) {
  pollfd ready{listener.get(), POLLIN, 0};  // the last packet of the handshake may still be on its way through loopback
  (void)::poll(&ready, 1, kAcceptWithinMs);
  const Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  cw_origin origin{};
  socklen_t length = sizeof origin;
  if (!accepted || ::getsockopt(accepted.get(), CW_SOL_CAUSEWAY, CW_SO_ORIGIN, &origin, &length) != 0) return false;
  const cw_address wanted = encode(target.ip);
  return std::memcmp(origin.dst_addr, &wanted, sizeof wanted) == 0 && origin.dst_port == htons(target.port);
}

}  // namespace

Result<int> dial_from_cgroup(const std::string& cgroup_path, const SocketAddress& target) {
  const Fd cgroup(::open(cgroup_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup) return errno_error(errno, "open cgroup", cgroup_path);
  sockaddr_storage address{};
  const socklen_t length = target.to(address);
  clone_args args{};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = 0;  // no SIGCHLD: the caller's own handler and waitpid(-1) do not see this child
  args.cgroup = static_cast<__u64>(cgroup.get());
  const long child = ::syscall(SYS_clone3, &args, sizeof args);
  if (child < 0) return errno_error(errno, "start a process in cgroup", cgroup_path);
  if (child == 0) dial_and_exit(address, length);
  int status = 0;
  while (::waitpid(static_cast<pid_t>(child), &status, __WALL) < 0) {
    if (errno != EINTR) return errno_error(errno, "wait for", "the canary");
  }
  if (!WIFEXITED(status)) return make_error("run", "the canary", "it was killed");
  return WEXITSTATUS(status);
}

Result<bool> canary_arrives(Map<cw_alias_key, cw_alias>& aliases, const IpPrefix& alias_v4,
                            const std::string& parent_cgroup) {
  const CanaryCgroup cgroup(parent_cgroup + "/canary");
  if (!cgroup) return errno_error(errno, "make cgroup", cgroup.path());
  SocketAddress listens_on;
  const Result<Fd> listener = listen_on_loopback(listens_on);
  if (!listener) return listener.error();
  const SocketAddress target{alias_v4.at((std::uint64_t{1} << (32 - alias_v4.length)) - 1), kCanaryPort};
  const cw_alias_key key{encode(target.ip), htons(target.port), IPPROTO_TCP, 0};
  if (const Result<void> put = aliases.put(key, {0, CW_NAMESPACE_EVERY, htons(listens_on.port), 0}); !put)
    return put.error();
  const Result<int> dialled = dial_from_cgroup(cgroup.path(), target);
  const Result<bool> erased = aliases.erase(key);
  if (!dialled) return dialled.error();
  if (!erased) return erased.error();
  return *dialled == 0 && brings_origin(*listener, target);
}

}  // namespace causeway::kernel
