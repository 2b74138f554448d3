#include "agent/task_cgroup.h"

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>

#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"

namespace causeway::agent {
namespace {

namespace asio = boost::asio;
constexpr long kCgroup2Magic = 0x63677270;  // linux/magic.h
constexpr unsigned kMaxDepth = 32;          // of cgroups that a program made below its own
constexpr unsigned kKillRounds = 100;       // before cgroup.kill: a fork bomb loses after a few

Result<std::string> read_small(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno_error(errno, "read", path);
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "read", path);
    if (n == 0) return {boost::system::in_place_value, std::move(text)};
    text.append(buffer, static_cast<std::size_t>(n));
  }
}

Result<void> write_small(const std::string& path, std::string_view text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return errno_error(errno, "write", path);
  if (::write(fd.get(), text.data(), text.size()) < 0) return errno_error(errno, "write", path);
  return {};
}

Result<std::vector<std::string>> child_directories(const std::string& path) {
  DIR* dir = ::opendir(path.c_str());
  if (dir == nullptr) return errno_error(errno, "list cgroup", path);
  std::vector<std::string> out;
  while (const dirent* entry = ::readdir(dir)) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') out.emplace_back(entry->d_name);
  }
  ::closedir(dir);
  return out;
}

Result<void> remove_tree(const std::string& path, unsigned depth) {
  if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return {};
  const int why = errno;
  if (why != EBUSY || depth == 0) return errno_error(why, "remove cgroup", path);
  const auto children = child_directories(path);
  if (!children) return children.error();
  for (const std::string& child : *children) {
    if (const auto removed = remove_tree(path + "/" + child, depth - 1); !removed) return removed;
  }
  if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return {};
  return errno_error(errno, "remove cgroup", path);
}

Result<std::vector<int>> pids_below(const std::string& path, unsigned depth) {
  const auto text = read_small(path + "/cgroup.procs");
  if (!text) return text.error();
  std::vector<int> pids;
  const char* at = text->data();
  const char* end = at + text->size();
  while (at < end) {
    int pid = 0;
    const auto [next, bad] = std::from_chars(at, end, pid);
    if (bad == std::errc() && pid > 0) pids.push_back(pid);
    at = next == at ? at + 1 : next + 1;
  }
  const auto children =
      depth == 0 ? Result<std::vector<std::string>>(std::vector<std::string>()) : child_directories(path);
  if (!children) return children.error();
  for (const std::string& child : *children) {
    const auto below = pids_below(path + "/" + child, depth - 1);
    if (below) pids.insert(pids.end(), below->begin(), below->end());
  }
  return pids;
}

}  // namespace

struct TaskCgroups::State : std::enable_shared_from_this<State> {
  State(asio::any_io_executor executor, std::string where) : events(executor), directory(std::move(where)) {}

  struct Watch {
    std::string name;
    std::function<void()> on_change;
  };

  /// One inotify instance for all tasks: cgroup.events gets IN_MODIFY from kernfs_notify() when `populated` flips.
  void read_events() {
    events.async_wait(asio::posix::descriptor_base::wait_read,
                      [weak = weak_from_this()](boost::system::error_code error) {
                        const auto self = weak.lock();
                        if (!self || error) return;
                        self->drain_events();
                        self->read_events();
                      });
  }

  void drain_events() {
    alignas(inotify_event) char buffer[8192];
    for (;;) {
      const ssize_t n = ::read(events.native_handle(), buffer, sizeof buffer);
      if (n <= 0) return;
      for (ssize_t at = 0; at < n;) {
        inotify_event event{};
        __builtin_memcpy(&event, buffer + at, sizeof event);
        at += static_cast<ssize_t>(sizeof event + event.len);
        if ((event.mask & IN_Q_OVERFLOW) != 0) {
          notify_all();
        } else {
          notify(event.wd);
        }
      }
    }
  }

  void notify(int wd) {
    const auto found = watches.find(wd);
    if (found == watches.end()) return;         // unwatched while its event waited
    const auto call = found->second.on_change;  // a copy: it may unwatch itself
    call();
  }

  void notify_all() {
    std::vector<int> all;
    for (const auto& [wd, watch] : watches) all.push_back(wd);
    for (const int wd : all) notify(wd);
  }

  asio::posix::stream_descriptor events;
  std::string directory;
  std::map<int, Watch> watches;  // by watch descriptor
};

TaskCgroups::TaskCgroups(std::shared_ptr<State> state) : state_(std::move(state)) {}
TaskCgroups::TaskCgroups(TaskCgroups&&) noexcept = default;
TaskCgroups& TaskCgroups::operator=(TaskCgroups&&) noexcept = default;
TaskCgroups::~TaskCgroups() {
  if (!state_) return;
  boost::system::error_code ignored;
  state_->events.close(ignored);
  state_->watches.clear();
}

Result<TaskCgroups> TaskCgroups::open(asio::any_io_executor executor, std::string directory) {
  std::error_code made;
  std::filesystem::create_directories(directory, made);
  if (made) return errno_error(made.value(), "make cgroup", directory);
  struct statfs info {};
  if (::statfs(directory.c_str(), &info) != 0) return errno_error(errno, "look at", directory);
  if (info.f_type != kCgroup2Magic) {
    return make_error("use as tasks' cgroup", directory, "it is not on a cgroup v2 mount; set cgroup.mount to one");
  }
  auto state = std::make_shared<State>(std::move(executor), std::move(directory));
  Fd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify) return errno_error(errno, "watch cgroups below", state->directory);
  state->events.assign(inotify.release());
  state->read_events();
  return TaskCgroups(std::move(state));
}

const std::string& TaskCgroups::directory() const {
  return state_->directory;
}
std::string TaskCgroups::path(const std::string& name) const {
  return state_->directory + "/" + name;
}

Result<std::uint64_t> TaskCgroups::create(const std::string& name) {
  if (::mkdir(path(name).c_str(), 0755) != 0) return errno_error(errno, "make cgroup", path(name));
  return id(name);
}

Result<std::uint64_t> TaskCgroups::id(const std::string& name) const {
  struct stat info {};
  if (::stat(path(name).c_str(), &info) != 0) return errno_error(errno, "look at cgroup", path(name));
  return static_cast<std::uint64_t>(info.st_ino);  // kernfs: inode number = cgroup id on 64-bit machines
}

Result<void> TaskCgroups::enter(const std::string& name, int pid) {
  return write_small(path(name) + "/cgroup.procs", std::to_string(pid));
}

Result<bool> TaskCgroups::populated(const std::string& name) const {
  const auto text = read_small(path(name) + "/cgroup.events");
  if (!text) return text.error();
  return text->find("populated 1") != std::string::npos;
}

Result<std::vector<int>> TaskCgroups::processes(const std::string& name) const {
  return pids_below(path(name), kMaxDepth);
}

Result<void> TaskCgroups::kill(const std::string& name) {
  const auto killed = write_small(path(name) + "/cgroup.kill", "1");
  if (killed || killed.error().code != ENOENT) return killed;
  for (unsigned round = 0; round < kKillRounds; ++round) {
    const auto pids = processes(name);
    if (!pids) return pids.error();
    if (pids->empty()) return {};
    for (const int pid : *pids) ::kill(pid, SIGKILL);
  }
  return {};
}

Result<void> TaskCgroups::remove(const std::string& name) {
  unwatch(name);
  return remove_tree(path(name), kMaxDepth);
}

Result<std::vector<std::string>> TaskCgroups::list() const {
  return child_directories(state_->directory);
}

Result<void> TaskCgroups::watch(const std::string& name, std::function<void()> on_change) {
  const std::string file = path(name) + "/cgroup.events";
  const int wd = ::inotify_add_watch(state_->events.native_handle(), file.c_str(), IN_MODIFY);
  if (wd < 0) {
    Error error = errno_error(errno, "watch", file);
    if (errno == ENOSPC) error.cause += "; raise sysctl fs.inotify.max_user_watches";
    return error;
  }
  state_->watches[wd] = {name, std::move(on_change)};
  return {};
}

void TaskCgroups::unwatch(const std::string& name) {
  for (auto it = state_->watches.begin(); it != state_->watches.end();) {
    if (it->second.name == name) {
      ::inotify_rm_watch(state_->events.native_handle(), it->first);
      it = state_->watches.erase(it);
    } else {
      ++it;
    }
  }
}

}  // namespace causeway::agent
