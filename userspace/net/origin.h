#pragma once
#include "base/result.h"
#include "causeway/abi/origin.h"

namespace causeway::net {

/// Where an accepted connection was going (the private socket option of origin.h; needs no privilege). ENOENT or
/// ENOPROTOOPT in `code`: it was not intercepted.
Result<cw_origin> connection_origin(int accepted_fd);

}  // namespace causeway::net
