#pragma once
// BPF programs attached to a cgroup, whosever they are.
#include <string>
#include <vector>

#include "base/result.h"

namespace causeway::cli {

struct AttachedProgram {
  std::string hook;  ///< "connect4"
  std::string name;
  unsigned id = 0;
  bool ours = false;  ///< its link is pinned below our pin root
};

/// Programs of the hooks that Causeway uses, attached to exactly this directory (BPF_PROG_QUERY; needs root).
Result<std::vector<AttachedProgram>> attached_programs(const std::string& cgroup, const std::string& pin_root);

}  // namespace causeway::cli
