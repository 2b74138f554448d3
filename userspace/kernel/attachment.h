#pragma once
// One program on one cgroup, by a pinned link. Links run beside other programs there (multi mode) and never replace
// them.
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/cgroup.h"
#include "kernel/object.h"

namespace causeway::kernel {

class Attachment {
 public:
  /// Takes over the link pinned at `path` if it joins this cgroup and hook, swapping its program in place, so that no
  /// connection meets a moment without one. Otherwise makes and pins a new one; a link that does not fit is detached.
  static Result<Attachment> make(const Program& program, const Cgroup& cgroup, const std::string& path);

  /// Detaches and unpins; a second time does nothing.
  Result<void> remove();
  const std::string& path() const { return path_; }
  bool was_taken_over() const { return taken_over_; }

 private:
  Attachment(std::string path, Fd link, bool taken_over)
      : path_(std::move(path)), link_(std::move(link)), taken_over_(taken_over) {}

  std::string path_;
  Fd link_;
  bool taken_over_ = false;
};

}  // namespace causeway::kernel
