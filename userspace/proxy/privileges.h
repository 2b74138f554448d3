#pragma once
#include <string>

#include "base/result.h"

namespace causeway::proxy {

struct Confinement {
  std::string user;  ///< account name or number; empty: stay who we are, which must not be root
  std::string root;  ///< directory that becomes the root; empty: none
};

/// Raises the limit of descriptors to the hard limit.
void raise_descriptor_limit();

/// Gives everything up before a stranger's byte is read: root directory, groups, user, capabilities (bounding set too),
/// the way back (no_new_privs), and the system calls that a proxy never needs (bpf, execve, ptrace, ...: EPERM). Only
/// while the process has one thread. An Error means that something could not be given up: end the process.
Result<void> confine(const Confinement& confinement);

}  // namespace causeway::proxy
