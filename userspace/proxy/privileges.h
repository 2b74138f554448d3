#pragma once
#include <cstdint>
#include <string>

#include "base/result.h"

namespace causeway::proxy {

struct Confinement {
  std::string user;  ///< account name or number; empty: stay who we are, which must not be root
  std::string root;  ///< directory that becomes the root; empty: none
};

/// Sets the limit of descriptors to the hard limit, or to `at_most` where that is lower and not 0.
void raise_descriptor_limit(std::uint32_t at_most);

/// Gives everything up before a stranger's byte is read: root directory, groups, user, capabilities (bounding set too),
/// the way back (no_new_privs), and the system calls that a proxy never needs (bpf, execve, ptrace, ...: EPERM). Only
/// while the process has one thread. An Error means that something could not be given up: end the process.
Result<void> confine(const Confinement& confinement);

}  // namespace causeway::proxy
