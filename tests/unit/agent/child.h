#pragma once
// A process that waits to be told to go on, as `causeway run` waits for its task before it execs.
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <optional>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace causeway::agent {

class Child {
 public:
  /// `body` runs in the child after go(); the child then ends.
  explicit Child(const std::function<void()>& body) {
    int go[2];
    int ready[2];
    if (::pipe(go) != 0 || ::pipe(ready) != 0) ::abort();
    pid_ = ::fork();
    char byte = 0;
    if (pid_ == 0) {
      ::close(go[1]);
      close_as_exec_does();  // the program of a task has nothing of the agent's open, the store's lock least of all
      ::close(ready[0]);
      ::close(ready[1]);
      if (::read(go[0], &byte, 1) == 1) body();
      ::_exit(0);
    }
    ::close(go[0]);
    go_ = go[1];
    ::close(ready[1]);
    (void)!::read(ready[0], &byte, 1);  // its end: the child holds nothing any more
    ::close(ready[0]);
  }
  ~Child() {
    ::close(go_);
    if (!status_) {
      ::kill(pid_, SIGKILL);
      wait();
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  void go() { (void)!::write(go_, "x", 1); }
  /// As kill(pid, 0) does not say: a zombie answers that, too.
  bool lives() {
    int status = 0;
    if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
    return !status_;
  }
  /// The wait status; blocks.
  int wait() {
    if (!status_) {
      int status = 0;
      while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
      }
      status_ = status;
    }
    return *status_;
  }

 private:
  static void close_as_exec_does() {
    for (int fd = 3; fd < 1024; ++fd) {
      const int flags = ::fcntl(fd, F_GETFD);
      if (flags >= 0 && (flags & FD_CLOEXEC) != 0) ::close(fd);
    }
  }

  pid_t pid_ = -1;
  int go_ = -1;
  std::optional<int> status_;
};

inline void sleep_for_good() {
  for (;;) ::pause();
}

}  // namespace causeway::agent
