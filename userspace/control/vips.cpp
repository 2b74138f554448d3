#include "control/vips.h"

#include <algorithm>

#include <fmt/core.h>

#include "control/aliases.h"

namespace causeway::control {
namespace {

std::uint64_t range_size(const IpPrefix& range) {
  const unsigned bits = (range.base.is_v4() ? 32 : 128) - range.length;
  return bits >= 32 ? (std::uint64_t{1} << 32) - 1 : std::uint64_t{1} << bits;
}

std::set<std::uint32_t> indices_in_use(const State& state) {
  std::set<std::uint32_t> used;
  for (const auto& [namespace_id, vips] : state.vips) {
    for (const auto& [name, vip] : vips) used.insert(vip.index);
  }
  return used;
}

/// The lowest index not in `used`; vip_end() when there is none.
std::uint32_t take_lowest(std::set<std::uint32_t>& used, std::uint32_t end) {
  std::uint32_t index = kFirstVip;
  for (auto it = used.lower_bound(index); it != used.end() && *it == index; ++it) ++index;
  if (index < end) used.insert(index);
  return std::min(index, end);
}

std::set<std::string> names_in(const State& state, const NamespaceRecord& space, const EcsServiceRecord& instead) {
  std::set<std::string> names;
  for (const auto& connected : connected_services(state, space.id, &instead)) {
    for (const auto& entry : connected.entries) {
      for (auto& name : alias_names(entry, space.name)) names.insert(std::move(name));
    }
  }
  return names;
}

}  // namespace

std::uint32_t vip_end(const Settings& settings) {
  const auto size = std::min(range_size(settings.alias_v4), range_size(settings.alias_v6));
  return size <= kReservedVipsAtEnd ? 0 : static_cast<std::uint32_t>(size - kReservedVipsAtEnd);
}

std::uint32_t canary_vip(const Settings& settings) {
  return vip_end(settings) + kReservedVipsAtEnd - 1;
}

Checked<> update_vips(Call& call, const std::set<std::string>& namespace_ids, const EcsServiceRecord& instead) {
  auto used = indices_in_use(call.state);
  const auto end = vip_end(call.settings);
  for (const auto& id : namespace_ids) {
    const auto space = call.state.namespaces.find(id);
    const auto names =
        space == call.state.namespaces.end() ? std::set<std::string>() : names_in(call.state, space->second, instead);
    static const std::map<std::string, VipRecord> kNone;
    const auto standing = call.state.vips.find(id);
    const auto& vips = standing == call.state.vips.end() ? kNone : standing->second;
    for (const auto& [name, vip] : vips) {
      if (!names.contains(name)) call.erase(vip);
    }
    for (const auto& name : names) {
      if (vips.contains(name)) continue;
      const VipRecord vip{id, name, take_lowest(used, end)};
      if (vip.index >= end) {
        return refusal(
            "LimitExceededException",
            fmt::format("no address is left for alias \"{}\": {} and {} hold {} aliases; delete some, or configure "
                        "larger alias ranges",
                        name, call.settings.alias_v4.to_string(), call.settings.alias_v6.to_string(), end - kFirstVip));
      }
      call.put(vip);
    }
  }
  return {};
}

}  // namespace causeway::control
