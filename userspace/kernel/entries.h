#pragma once
// What the maps are to hold for a snapshot. No system calls.
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "causeway/abi/maps.h"
#include "model/snapshot.h"

namespace causeway::kernel {

/// Hash and equality of a key's bytes, as the kernel's own hash map compares them.
template <class Key>
struct KeyBytes {
  static_assert(std::has_unique_object_representations_v<Key>, "padding would make equal keys differ");
  std::size_t operator()(const Key& key) const {
    return std::hash<std::string_view>{}({reinterpret_cast<const char*>(&key), sizeof key});
  }
  bool operator()(const Key& a, const Key& b) const { return std::memcmp(&a, &b, sizeof a) == 0; }
};

template <class Key, class Value>
using Entries = std::unordered_map<Key, Value, KeyBytes<Key>, KeyBytes<Key>>;

/// Two an alias: one for each of its addresses.
Entries<cw_alias_key, cw_alias> alias_entries(const Snapshot& snapshot);
/// By cgroup id; a workload whose cgroup is not known yet has none.
Entries<std::uint64_t, cw_workload> workload_entries(const Snapshot& snapshot);
Entries<cw_workload_port_key, std::uint32_t> workload_port_entries(const Snapshot& snapshot);

/// Which addresses are this host's.
using IsLocal = std::function<bool(const IpAddress&)>;

struct RowList {
  std::vector<cw_endpoint> rows;      ///< by slot
  std::vector<std::uint32_t> lookup;  ///< maglev: the slot of each entry; else empty
};

/// A service's healthy endpoints (where none is, the unhealthy ones, as the proxy takes them too), in lists by what
/// reaches them and where they are, each in the snapshot's order; one of weight 0 is in none, unless all have it.
struct ServiceRows {
  std::vector<RowList> lists;
  std::array<cw_set, CW_SETS> sets{};  ///< where in `lists` each set stands; one that is empty names list 0
  std::uint32_t local_known = 0;
  bool weighted = false;
};
ServiceRows service_rows(const Service& service, const IsLocal& is_local);
cw_service service_entry(const Service& service, const ServiceRows& rows, std::uint32_t generation);

}  // namespace causeway::kernel
