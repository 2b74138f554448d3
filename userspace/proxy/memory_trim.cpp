#include "proxy/memory_trim.h"

#include <algorithm>

namespace causeway::proxy {

bool MemoryTrim::due(std::size_t connections, std::size_t peak, SteadyTime now) {
  peak_ = std::max({peak_, peak, connections});
  if (peak_ < kMinPeak || connections >= peak_ / 4) return false;
  if (trimmed_ && now - last_ < kInterval) return false;
  trimmed_ = true;
  last_ = now;
  peak_ = connections;
  return true;
}

}  // namespace causeway::proxy
