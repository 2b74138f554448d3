#include "kernel/weights.h"

#include <numeric>

namespace causeway::kernel {

// A slot's width is the sum of the weights, and its content weight * count: whole numbers until the last division.
std::vector<SlotShare> slot_shares(std::span<const std::uint32_t> weights) {
  const auto width = std::accumulate(weights.begin(), weights.end(), std::uint64_t{0});
  std::vector<std::uint64_t> left(weights.begin(), weights.end());
  std::vector<SlotShare> shares(weights.size());
  std::vector<std::uint32_t> thin, wide;
  for (std::uint32_t slot = 0; slot < left.size(); ++slot) {
    left[slot] *= weights.size();
    shares[slot].other = slot;
    (left[slot] < width ? thin : wide).push_back(slot);
  }
  while (!thin.empty() && !wide.empty()) {
    const std::uint32_t slot = thin.back(), giver = wide.back();
    thin.pop_back();
    shares[slot] = {static_cast<std::uint32_t>((static_cast<unsigned __int128>(left[slot]) << 32) / width), giver};
    left[giver] -= width - left[slot];
    if (left[giver] >= width) continue;
    wide.pop_back();
    thin.push_back(giver);
  }
  return shares;
}

}  // namespace causeway::kernel
