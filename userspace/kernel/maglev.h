#pragma once
// Maglev's lookup table (Eisenbud and others, NSDI 2016, section 3.4): every client's hash has an entry, and a change
// of one endpoint moves few of them. No system calls.
#include <cstdint>
#include <span>
#include <vector>

namespace causeway::kernel {

/// What makes an endpoint the same one in the tables of every host, and its weight, in [1, 2^16).
struct MaglevMember {
  std::uint64_t hash = 0;
  std::uint32_t weight = 1;
};

/// A prime, at least 100 entries a member (their shares differ by 1 % then) up to 10,000 members, 2^20 at most. Steps
/// of four: a new size moves most clients, so that sizes must be few.
std::uint32_t maglev_size(std::size_t members);

/// The member of each entry; `size` prime, members not empty and fewer than `size`.
std::vector<std::uint32_t> maglev_table(std::span<const MaglevMember> members, std::uint32_t size);

}  // namespace causeway::kernel
