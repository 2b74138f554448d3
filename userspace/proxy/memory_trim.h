#pragma once
#include <cstddef>

#include "base/clock.h"

namespace causeway::proxy {

/// When memory that a peak of connections took is to be given back to the system (malloc_trim): glibc keeps what was
/// freed in the middle of its heap. Not thread-safe.
class MemoryTrim {
 public:
  /// True once the number fell to less than a quarter of its peak, of at least kMinPeak; at most every kInterval.
  /// `peak`: the most since the last call.
  bool due(std::size_t connections, std::size_t peak, SteadyTime now);

  static constexpr std::size_t kMinPeak = 256;
  static constexpr std::chrono::seconds kInterval{10};

 private:
  std::size_t peak_ = 0;
  SteadyTime last_{};
  bool trimmed_ = false;
};

}  // namespace causeway::proxy
