#pragma once
// Walker's alias method (Vose's way of building it): weights by slots of equal width. No system calls.
#include <cstdint>
#include <span>
#include <vector>

namespace causeway::kernel {

/// What a slot keeps of its width, of 2^32, and which slot has the rest. A slot that keeps all names itself as the
/// other.
struct SlotShare {
  std::uint32_t keep = 0;
  std::uint32_t other = 0;
  bool operator==(const SlotShare&) const = default;
};

/// Of slots with these weights. Weights in [0, 2^16), one of them at least above 0, at most 2^20 of them. The share of
/// a slot differs from its weight's by less than 2^-32 a slot.
std::vector<SlotShare> slot_shares(std::span<const std::uint32_t> weights);

}  // namespace causeway::kernel
