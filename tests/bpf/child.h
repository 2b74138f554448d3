#pragma once
// A process in a cgroup of its own choice, that talks with the test line by line.
#include <functional>
#include <string>

#include <sys/types.h>

#include "base/fd.h"

namespace causeway::test {

/// The child's end.
class Channel {
 public:
  Channel(int in, int out) : in_(in), out_(out) {}
  void say(const std::string& line);
  /// Blocks until the test says something; "" when it is gone.
  std::string hear();
  /// True while the test is there and has said nothing.
  bool waits() const;

 private:
  int in_, out_;
};

class Child {
 public:
  /// Runs `body` in a process born into the cgroup at `cgroup_path`.
  Child(const std::string& cgroup_path, const std::function<void(Channel&)>& body);
  ~Child();
  Child(Child&& other) noexcept;
  Child(const Child&) = delete;

  pid_t pid() const { return pid_; }
  int fd() const { return in_.get(); }  ///< readable when the child said something
  /// The child's next line; "(gone)" at its end, "(silent)" after 10 s.
  std::string hear();
  void say(const std::string& line);
  /// Ends it now with this signal and waits for that.
  void kill(int signal);

 private:
  pid_t pid_ = -1;
  Fd in_;
};

/// What `body` returns, run in the cgroup.
std::string in_cgroup(const std::string& cgroup_path, const std::function<std::string()>& body);

}  // namespace causeway::test
