#include "child.h"

#include <cstdlib>

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace causeway::test {
namespace {

constexpr int kSilentMs = 10'000;

void write_line(int fd, const std::string& line) {
  const std::string text = line + "\n";
  if (::send(fd, text.data(), text.size(), MSG_NOSIGNAL) < 0) return;
}

std::string read_line(int fd, int timeout_ms) {
  std::string line;
  for (;;) {
    pollfd ready{fd, POLLIN, 0};
    if (::poll(&ready, 1, timeout_ms) <= 0) return "(silent)";
    char c = 0;
    if (::read(fd, &c, 1) <= 0) return "(gone)";
    if (c == '\n') return line;
    line += c;
  }
}

}  // namespace

void Channel::say(const std::string& line) {
  write_line(out_, line);
}

std::string Channel::hear() {
  const std::string line = read_line(in_, -1);
  return line == "(gone)" ? "" : line;
}

bool Channel::waits() const {
  pollfd ready{in_, POLLIN, 0};
  return ::poll(&ready, 1, 0) == 0;
}

Child::Child(const std::string& cgroup_path, const std::function<void(Channel&)>& body) {
  int pair[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) std::abort();
  const Fd cgroup(::open(cgroup_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  clone_args args{};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<__u64>(cgroup.get());
  const pid_t parent = ::getpid();
  pid_ = cgroup ? static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args)) : -1;
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ::close(pair[0]);
    Channel channel(pair[1], pair[1]);
    body(channel);
    ::_exit(0);
  }
  ::close(pair[1]);
  in_ = Fd(pair[0]);
}

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), in_(std::move(other.in_)) {}

Child::~Child() {
  kill(SIGKILL);
}

std::string Child::hear() {
  return pid_ < 0 ? "(not started)" : read_line(in_.get(), kSilentMs);
}

void Child::say(const std::string& line) {
  write_line(in_.get(), line);
}

void Child::kill(int signal) {
  if (pid_ <= 0) return;
  ::kill(pid_, signal);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string in_cgroup(const std::string& cgroup_path, const std::function<std::string()>& body) {
  Child child(cgroup_path, [&](Channel& channel) { channel.say(body()); });
  return child.hear();
}

}  // namespace causeway::test
