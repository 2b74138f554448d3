#include "kernel/maglev.h"

#include <algorithm>

#include "../../bpf/lib/balance.h"

namespace causeway::kernel {
namespace {

constexpr std::uint32_t kSizes[] = {251, 1021, 4093, 16381, 65521, 262139, 1048573};
constexpr std::size_t kEntriesPerMember = 100;
constexpr std::uint32_t kFree = 0xffffffff;
constexpr std::uint64_t kOffsetSeed = 0x6f6666736574, kSkipSeed = 0x736b6970;

/// A member's walk through the entries: each once, in an order of its own.
struct Walk {
  std::uint32_t member;
  std::uint32_t next, skip;
  std::uint64_t credit;
};

/// In the order of the hashes: who is asked first is the same at every host.
std::vector<Walk> walks(std::span<const MaglevMember> members, std::uint32_t size) {
  std::vector<Walk> all;
  all.reserve(members.size());
  for (std::uint32_t i = 0; i < members.size(); ++i) {
    const std::uint64_t offset = cw_balance_hash(kOffsetSeed, 0, members[i].hash) % size;
    const std::uint64_t skip = cw_balance_hash(kSkipSeed, 0, members[i].hash) % (size - 1) + 1;
    all.push_back({i, static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(skip), 0});
  }
  std::sort(all.begin(), all.end(),
            [&](const Walk& a, const Walk& b) { return members[a.member].hash < members[b.member].hash; });
  return all;
}

std::uint32_t step(Walk& walk, std::uint32_t size) {
  const std::uint32_t at = walk.next;
  walk.next = static_cast<std::uint32_t>((std::uint64_t{walk.next} + walk.skip) % size);
  return at;
}

}  // namespace

std::uint32_t maglev_size(std::size_t members) {
  for (const std::uint32_t size : kSizes) {
    if (size >= members * kEntriesPerMember) return size;
  }
  return std::end(kSizes)[-1];
}

std::vector<std::uint32_t> maglev_table(std::span<const MaglevMember> members, std::uint32_t size) {
  std::vector<std::uint32_t> table(size, kFree);
  std::vector<Walk> all = walks(members, size);
  const auto by_weight = [](const MaglevMember& a, const MaglevMember& b) { return a.weight < b.weight; };
  const std::uint64_t heaviest = std::max_element(members.begin(), members.end(), by_weight)->weight;
  std::uint32_t filled = 0;
  while (filled < size) {
    for (Walk& walk : all) {
      walk.credit += members[walk.member].weight;
      if (walk.credit < heaviest) continue;  // of each round, the heaviest takes one entry, the others their part
      walk.credit -= heaviest;
      std::uint32_t at = step(walk, size);
      while (table[at] != kFree) at = step(walk, size);
      table[at] = walk.member;
      if (++filled == size) break;
    }
  }
  return table;
}

}  // namespace causeway::kernel
