#include "agent/proxy_process.h"

#include <boost/asio/post.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <optional>

#include "base/log.h"
#include "observe/log_writer.h"

namespace causeway::agent {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr int kFeedFd = 3;
constexpr auto kFirstPause = 50ms;
constexpr auto kLongestPause = 2s;
/// A proxy that had served is started again at once, but not more often than this within kManyEndsWithin: one that a
/// request brings down must not spin.
constexpr std::size_t kManyEnds = 10;
constexpr auto kManyEndsWithin = 10s;

struct Child {
  int pid = -1;
  Fd pidfd;
  Fd feed;
};

// Between fork and exec of a multi-threaded process only async-signal-safe calls are allowed.
[[noreturn]] void become_proxy(int feed, int cgroup_procs, const char* binary, char* const* arguments) {
  if (::write(cgroup_procs, "0", 1) != 1) ::_exit(126);
  if (feed == kFeedFd) {
    ::fcntl(feed, F_SETFD, 0);
  } else if (::dup2(feed, kFeedFd) != kFeedFd) {
    ::_exit(126);
  }
  ::close_range(kFeedFd + 1, ~0u, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execv(binary, arguments);
  ::_exit(127);
}

Result<Child> spawn(const ProxyProcessOptions& options) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return errno_error(errno, "make socket pair for", options.binary);
  Child child;
  child.feed = Fd(ends[0]);
  const Fd theirs(ends[1]);
  const auto procs_path = options.cgroup + "/cgroup.procs";
  const Fd procs(::open(procs_path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!procs) return errno_error(errno, "open", procs_path);

  std::vector<std::string> words{options.binary, "--feed-fd", std::to_string(kFeedFd), "--user", options.user, "--chroot", options.jail,
                                 "--log", std::string(log::name_of(options.log_level))};
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  child.pid = ::fork();
  if (child.pid == 0) become_proxy(theirs.get(), procs.get(), options.binary.c_str(), arguments.data());
  if (child.pid < 0) return errno_error(errno, "fork for", options.binary);
  child.pidfd = Fd(static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0)));
  if (!child.pidfd) {
    const auto error = errno_error(errno, "pidfd_open", options.binary);
    ::kill(child.pid, SIGKILL);
    ::waitpid(child.pid, nullptr, 0);
    return error;
  }
  return child;
}

std::string ending(int pid) {
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid) return "ended";
  if (WIFSIGNALED(status)) return fmt::format("was ended by signal {}", WTERMSIG(status));
  return fmt::format("exited with status {}", WEXITSTATUS(status));
}

}  // namespace

struct ProxyProcess::State : std::enable_shared_from_this<State> {
  State(asio::any_io_executor e, ProxyProcessOptions o) : executor(std::move(e)), options(std::move(o)), timer(executor) {}

  Result<void> start();
  Result<void> hand_over(Child& child);
  Result<void> make_log_control(feed::Handover& handover);
  void send_log_output();
  void watch_end();
  void ended();
  bool ends_too_often();
  void start_again(std::chrono::milliseconds pause);
  void finish();

  asio::any_io_executor executor;
  ProxyProcessOptions options;
  asio::steady_timer timer;
  std::optional<asio::posix::stream_descriptor> pidfd;
  std::unique_ptr<feed::Publisher> publisher;
  Fd log_control;  ///< to the proxy's observe::LogWriter
  Fd log_output;
  SnapshotPtr newest;
  std::function<void(Revision)> acknowledged_callback;
  std::function<void()> ended_callback;
  std::function<void()> stopped_callback;
  std::deque<std::chrono::steady_clock::time_point> ends;  ///< the last kManyEnds
  std::chrono::milliseconds pause{0};
  bool stopping = false;
  std::atomic<int> pid{-1};
  std::atomic<std::uint64_t> restarts{0};
  std::atomic<bool> alive{false};
  std::atomic<std::uint64_t> acknowledged{0};
};

Result<void> ProxyProcess::State::start() {
  auto child = spawn(options);
  if (!child) return child.error();
  pid = child->pid;
  pidfd.emplace(executor, child->pidfd.release());
  watch_end();
  if (auto handed = hand_over(*child); !handed) {
    log::error("{}", handed.error().message());
    ::kill(pid, SIGKILL);  // watch_end() starts another
  }
  return {};
}

Result<void> ProxyProcess::State::hand_over(Child& child) {
  publisher = std::make_unique<feed::Publisher>(executor, std::move(child.feed));
  const std::weak_ptr<State> weak = weak_from_this();
  publisher->on_acknowledged([weak](Revision revision) {
    const auto self = weak.lock();
    if (!self) return;
    self->alive = true;
    self->acknowledged = revision.value;
    if (self->acknowledged_callback) self->acknowledged_callback(revision);
  });
  publisher->on_closed([weak](const Error& error) {
    const auto self = weak.lock();
    if (!self || self->stopping) return;
    // Without its feed a proxy would serve what was true once, for ever.
    log::warn("the proxy's feed closed ({}); ending process {}", error.message(), self->pid.load());
    if (self->pid > 0) ::kill(self->pid, SIGKILL);
  });
  feed::Handover handover;
  for (const auto& listener : options.listeners) handover.listeners.emplace_back(::fcntl(listener.get(), F_DUPFD_CLOEXEC, 4));
  handover.counters = Fd(::fcntl(options.counters, F_DUPFD_CLOEXEC, 4));
  if (auto made = make_log_control(handover); !made) return made.error();
  if (options.heartbeat >= 0) handover.heartbeat = Fd(::fcntl(options.heartbeat, F_DUPFD_CLOEXEC, 4));
  if (auto handed = publisher->hand_over(options.settings, handover); !handed) return handed.error();
  if (newest) publisher->publish(newest);
  return {};
}

Result<void> ProxyProcess::State::make_log_control(feed::Handover& handover) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return errno_error(errno, "make socket pair for", "the access log");
  log_control = Fd(pair[0]);
  handover.access_log = Fd(pair[1]);
  send_log_output();
  return {};
}

void ProxyProcess::State::send_log_output() {
  if (!log_control || !log_output) return;
  if (auto sent = observe::send_log_output(log_control.get(), log_output.get()); !sent) log::error("{}", sent.error().message());
}

void ProxyProcess::State::watch_end() {
  pidfd->async_wait(asio::posix::stream_descriptor::wait_read, [weak = weak_from_this()](boost::system::error_code error) {
    if (const auto self = weak.lock(); self && !error) self->ended();
  });
}

void ProxyProcess::State::ended() {
  const auto how = ending(pid);
  pidfd.reset();
  publisher.reset();
  log_control.reset();
  const bool had_served = alive.exchange(false);
  const int old = pid.exchange(-1);
  if (stopping) return finish();
  if (ended_callback) ended_callback();
  pause = had_served && !ends_too_often() ? 0ms : std::clamp<std::chrono::milliseconds>(pause * 2, kFirstPause, kLongestPause);
  log::warn("causeway-proxy (process {}) {}; starting it again in {} ms", old, how, pause.count());
  start_again(pause);
}

bool ProxyProcess::State::ends_too_often() {
  const auto now = std::chrono::steady_clock::now();
  ends.push_back(now);
  if (ends.size() <= kManyEnds) return false;
  ends.pop_front();
  return now - ends.front() < kManyEndsWithin;
}

void ProxyProcess::State::start_again(std::chrono::milliseconds after) {
  timer.expires_after(after);
  timer.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const auto self = weak.lock();
    if (!self || error || self->stopping) return;
    ++self->restarts;
    if (auto begun = self->start(); !begun) {
      log::error("{}; trying again in {} ms", begun.error().message(), kLongestPause / 1ms);
      self->start_again(kLongestPause);
    }
  });
}

void ProxyProcess::State::finish() {
  timer.cancel();
  if (auto done = std::exchange(stopped_callback, {})) asio::post(executor, std::move(done));
}

ProxyProcess::ProxyProcess(asio::any_io_executor executor, ProxyProcessOptions options)
    : state_(std::make_shared<State>(std::move(executor), std::move(options))) {}

ProxyProcess::~ProxyProcess() = default;

Result<void> ProxyProcess::start() { return state_->start(); }

void ProxyProcess::publish(SnapshotPtr snapshot) {
  state_->newest = std::move(snapshot);
  if (state_->publisher) state_->publisher->publish(state_->newest);
}

void ProxyProcess::set_access_log(Fd output) {
  state_->log_output = std::move(output);
  state_->send_log_output();
}

void ProxyProcess::on_acknowledged(std::function<void(Revision)> callback) { state_->acknowledged_callback = std::move(callback); }

void ProxyProcess::stop(std::function<void()> done) {
  state_->stopping = true;
  state_->stopped_callback = std::move(done);
  if (state_->pid <= 0) return state_->finish();
  if (state_->publisher) state_->publisher->drain();
  state_->timer.expires_after(state_->options.settings.drain + 1s);
  state_->timer.async_wait([weak = std::weak_ptr(state_)](boost::system::error_code error) {
    const auto self = weak.lock();
    if (self && !error && self->pid > 0) ::kill(self->pid, SIGKILL);
  });
}

void ProxyProcess::kill() {
  state_->stopping = true;
  state_->timer.cancel();
  const int pid = state_->pid.exchange(-1);
  if (pid <= 0) return;
  state_->pidfd.reset();
  state_->publisher.reset();
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

void ProxyProcess::on_ended(std::function<void()> callback) { state_->ended_callback = std::move(callback); }

int ProxyProcess::pid() const { return state_->pid; }
std::uint64_t ProxyProcess::restarts() const { return state_->restarts; }
bool ProxyProcess::alive() const { return state_->alive; }
Revision ProxyProcess::acknowledged() const { return Revision{state_->acknowledged}; }

}  // namespace causeway::agent
