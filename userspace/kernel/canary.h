#pragma once
#include <cstdint>
#include <string>

#include "base/ip.h"
#include "base/result.h"
#include "causeway/abi/maps.h"
#include "kernel/map.h"

namespace causeway::kernel {

/// Dials `target` from a child process born into the cgroup at `cgroup_path`. The child only makes system calls, so any
/// thread of a multi-threaded process may call this. Returns 0 or the errno of its connect().
Result<int> dial_from_cgroup(const std::string& cgroup_path, const SocketAddress& target);

/// Makes an alias of its own at the last address of `alias_v4`, which no alias is ever given (in 127.255.0.0/16 it is
/// the broadcast address), dials it from a cgroup made below `parent_cgroup`, and sees whether a listener of this
/// process gets the connection with its origin. False: interception is not effective, whatever is attached.
Result<bool> canary_arrives(Map<cw_alias_key, cw_alias>& aliases, const IpPrefix& alias_v4,
                            const std::string& parent_cgroup);

}  // namespace causeway::kernel
