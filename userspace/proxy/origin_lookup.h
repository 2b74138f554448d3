#pragma once
#include "base/result.h"
#include "causeway/abi/origin.h"
#include "net/origin.h"

namespace causeway::proxy {

/// Where an accepted connection was going. Called on every worker's thread at once.
class OriginLookup {
 public:
  virtual ~OriginLookup() = default;
  virtual Result<cw_origin> origin(int accepted_fd) const = 0;
};

/// Asks the kernel part.
class KernelOrigin final : public OriginLookup {
 public:
  Result<cw_origin> origin(int accepted_fd) const override { return net::connection_origin(accepted_fd); }
};

}  // namespace causeway::proxy
