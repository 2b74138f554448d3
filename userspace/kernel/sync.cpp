#include "kernel/sync.h"

#include <algorithm>
#include <utility>

#include "kernel/first_error.h"

namespace causeway::kernel {
namespace {

bool same(const std::vector<RowList>& a, const std::vector<RowList>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const RowList& one, const RowList& other) {
    return one.lookup == other.lookup &&
           std::equal(one.rows.begin(), one.rows.end(), other.rows.begin(), other.rows.end(), KeyBytes<cw_endpoint>{});
  });
}

bool same(const cw_set (&a)[CW_SETS], const std::array<cw_set, CW_SETS>& b) {
  return std::equal(b.begin(), b.end(), a, KeyBytes<cw_set>{});
}

/// Lists of the sizes that the entry speaks of, empty.
std::vector<RowList> lists_of(const cw_service& entry, const Maps& maps) {
  std::vector<RowList> lists;
  for (const cw_set& set : entry.sets) {
    if (set.count == 0 || set.list >= CW_SETS) continue;
    if (set.list >= lists.size()) lists.resize(set.list + 1);
    lists[set.list].rows.resize(std::min<std::size_t>(set.count, maps.endpoints.limit()));
    lists[set.list].lookup.resize(
        std::min<std::size_t>(set.lookup_size, std::size_t{maps.lookups.limit()} * CW_LOOKUP_PIECE));
  }
  return lists;
}

std::uint32_t pieces_of(const std::vector<std::uint32_t>& lookup) {
  return static_cast<std::uint32_t>((lookup.size() + CW_LOOKUP_PIECE - 1) / CW_LOOKUP_PIECE);
}

cw_lookup piece_of(const std::vector<std::uint32_t>& lookup, std::uint32_t piece) {
  cw_lookup value{};
  const std::size_t begin = std::size_t{piece} * CW_LOOKUP_PIECE;
  const std::size_t count = std::min<std::size_t>(CW_LOOKUP_PIECE, lookup.size() - begin);
  std::copy_n(lookup.begin() + static_cast<std::ptrdiff_t>(begin), count, value.slot);
  return value;
}

}  // namespace

Result<void> Sync::adopt() {
  FirstError error;
  error += aliases_.adopt(maps_.aliases);
  error += workloads_.adopt(maps_.workloads);
  error += ports_.adopt(maps_.workload_ports);
  auto services = maps_.services.entries();
  if (!services) return services.error();
  auto states = maps_.endpoint_states.entries();
  if (!states) return states.error();
  auto service_states = maps_.service_states.entries();
  if (!service_states) return service_states.error();
  error += leaving_.adopt();
  in_place_.reset();
  services_.clear();
  states_.clear();
  for (const auto& [id, state] : *states) states_.insert(id);
  unknown_states_ = !states_.empty();
  for (const auto& [id, value] : *services) {
    Rows& kept = services_[id];
    kept.entry = value;
    kept.lists = lists_of(value, maps_);
    generation_ = std::max(generation_, value.generation);
  }
  error += adopt_rows();
  error += adopt_lookups();
  gone_services_.clear();
  for (const auto& [id, state] : *service_states) {
    if (!services_.contains(id)) gone_services_.insert(id);
  }
  return error.result();
}

// An agent may have died between the flip and the removal of what was before it.
Result<void> Sync::adopt_rows() {
  const auto rows = maps_.endpoints.entries();
  if (!rows) return rows.error();
  FirstError error;
  for (const auto& [key, value] : *rows) {
    const auto service = services_.find(key.service_id);
    if (service != services_.end() && key.generation == service->second.entry.generation &&
        key.list < service->second.lists.size() && key.slot < service->second.lists[key.list].rows.size()) {
      service->second.lists[key.list].rows[key.slot] = value;
    } else if (const Result<bool> gone = maps_.endpoints.erase(key); !gone) {
      error += Result<void>(gone.error());
    }
  }
  return error.result();
}

Result<void> Sync::adopt_lookups() {
  const auto pieces = maps_.lookups.entries();
  if (!pieces) return pieces.error();
  FirstError error;
  for (const auto& [key, value] : *pieces) {
    const auto service = services_.find(key.service_id);
    if (service != services_.end() && key.generation == service->second.entry.generation &&
        key.list < service->second.lists.size() && key.piece < pieces_of(service->second.lists[key.list].lookup)) {
      auto& lookup = service->second.lists[key.list].lookup;
      const std::size_t begin = std::size_t{key.piece} * CW_LOOKUP_PIECE;
      std::copy_n(value.slot, std::min<std::size_t>(CW_LOOKUP_PIECE, lookup.size() - begin),
                  lookup.begin() + static_cast<std::ptrdiff_t>(begin));
    } else if (const Result<bool> gone = maps_.lookups.erase(key); !gone) {
      error += Result<void>(gone.error());
    }
  }
  return error.result();
}

Result<void> Sync::apply(const Snapshot& snapshot) {
  host_is_old_ = true;
  follow_known(snapshot);
  const bool aliases_stay = in_place_ && in_place_->aliases.same_as(snapshot.aliases);
  const bool workloads_stay = in_place_ && in_place_->workloads == snapshot.workloads;
  Result<void> done;
  if (aliases_stay && workloads_stay) {
    done = apply(
        snapshot, [] { return Result<void>(); }, [] { return Result<void>(); });
  } else {
    const auto aliases = alias_entries(snapshot);
    const auto workloads = workload_entries(snapshot);
    const auto ports = workload_port_entries(snapshot);
    const auto add = [&] {
      FirstError error;
      error += ports_.add(maps_.workload_ports, ports);
      error += workloads_.add(maps_.workloads, workloads);
      error += aliases_.add(maps_.aliases, aliases);
      return error.result();
    };
    const auto remove = [&] {
      FirstError error;
      error += aliases_.remove_others(maps_.aliases, aliases);
      error += workloads_.remove_others(maps_.workloads, workloads);
      error += ports_.remove_others(maps_.workload_ports, ports);
      return error.result();
    };
    done = apply(snapshot, add, remove);
  }
  in_place_.reset();
  if (done) in_place_ = snapshot;
  return done;
}

template <class Add, class Remove>
Result<void> Sync::apply(const Snapshot& snapshot, const Add& add_others, const Remove& remove_others) {
  const auto add = [&] {
    FirstError error;
    error += add_services(snapshot);
    error += add_others();
    return error.result();
  };
  const Result<void> added = add();
  FirstError error;
  error += remove_others();
  error += remove_services(snapshot);
  error += remove_unknown_states();
  if (!added) {
    error += erase_idle_states();
    error += add();
  }
  return error.result();
}

void Sync::follow_known(const Snapshot& snapshot) {
  using Ptr = std::shared_ptr<const Service>;
  for_each_difference(known_services_, snapshot.services, [this](ServiceId, const Ptr* was, const Ptr* is) {
    if (was != nullptr) {
      for (const Endpoint& endpoint : (*was)->endpoints) known_.erase(endpoint.id.value);
    }
    if (is != nullptr) {
      for (const Endpoint& endpoint : (*is)->endpoints) known_.insert(endpoint.id.value);
    }
  });
  known_services_ = snapshot.services;
}

Result<void> Sync::add_services(const Snapshot& snapshot) {
  using Ptr = std::shared_ptr<const Service>;
  static const decltype(Snapshot::services) kNone;
  FirstError error;
  for_each_difference(in_place_ ? in_place_->services : kNone, snapshot.services,
                      [&](ServiceId id, const Ptr* /*was*/, const Ptr* is) {
                        if (is == nullptr) return;
                        const auto kept = services_.find(id.value);
                        if (kept == services_.end() || kept->second.source != *is) error += put_service(*is);
                      });
  return error.result();
}

Result<void> Sync::put_service(const std::shared_ptr<const Service>& service) {
  std::vector<std::uint32_t> added;
  Result<void> done = add_states(*service, added);
  if (done) done = put_rows(service);
  const auto kept = services_.find(service->id.value);
  if (kept == services_.end() || kept->second.source != service) {  // not in force: others may need the room
    for (const std::uint32_t id : added) (void)erase_state(id);
  }
  return done;
}

Result<void> Sync::put_rows(const std::shared_ptr<const Service>& service) {
  const std::uint32_t id = service->id.value;
  ServiceRows rows = rows_of(*service);
  const auto kept = services_.find(id);
  if (kept != services_.end() && same(kept->second.lists, rows.lists) && same(kept->second.entry.sets, rows.sets))
    return put_entry(kept->second, service, rows);
  if (++generation_ == 0) ++generation_;
  const std::uint32_t generation = generation_;
  const cw_service entry = service_entry(*service, rows, generation);
  Result<void> done = put_lists(id, generation, rows.lists);
  if (done) done = maps_.service_states.put_new(id, {});
  if (done) gone_services_.erase(id);
  if (done) done = maps_.services.put(id, entry);
  if (!done) {
    (void)erase_lists(id, generation, rows.lists);  // the old set stays in force
    return done;
  }
  FirstError error;
  error += follow(kept == services_.end() ? nullptr : &kept->second, service.get());
  if (kept != services_.end()) {
    error += erase_lists(id, kept->second.entry.generation, kept->second.lists);
    if (kept->second.source) error += remove_states(*kept->second.source, service.get());
  }
  services_[id] = {entry, std::move(rows.lists), service};
  return error.result();
}

Result<void> Sync::put_entry(Rows& kept, const std::shared_ptr<const Service>& service, const ServiceRows& rows) {
  const cw_service entry = service_entry(*service, rows, kept.entry.generation);
  if (!KeyBytes<cw_service>{}(kept.entry, entry)) {
    if (Result<void> done = maps_.services.put(service->id.value, entry); !done) return done;
    kept.entry = entry;
  }
  FirstError error;
  error += follow(&kept, service.get());
  if (kept.source) error += remove_states(*kept.source, service.get());
  kept.source = service;
  return error.result();
}

Result<void> Sync::remove_services(const Snapshot& snapshot) {
  std::vector<std::uint32_t> gone;
  if (in_place_) {
    using Ptr = std::shared_ptr<const Service>;
    for_each_difference(in_place_->services, snapshot.services, [&](ServiceId id, const Ptr* /*was*/, const Ptr* is) {
      if (is == nullptr) gone.push_back(id.value);
    });
  } else {
    for (const auto& [id, kept] : services_) {
      if (!snapshot.services.contains(ServiceId(id))) gone.push_back(id);
    }
  }
  FirstError error;
  for (const std::uint32_t id : gone) error += remove_service(id);
  return error.result();
}

Result<void> Sync::remove_service(std::uint32_t id) {
  const auto kept = services_.find(id);
  if (kept == services_.end()) return {};
  if (const Result<bool> gone = maps_.services.erase(id); !gone) return gone.error();
  FirstError error;
  error += erase_lists(id, kept->second.entry.generation, kept->second.lists);
  error += follow(&kept->second, nullptr);
  gone_services_.insert(id);
  if (kept->second.source) error += remove_states(*kept->second.source, nullptr);
  error += remove_counters(id);
  services_.erase(kept);
  return error.result();
}

Result<void> Sync::remove_counters(std::uint32_t id) {
  const auto keys = maps_.path_counters.keys();
  if (!keys) return keys.error();
  FirstError error;
  for (const cw_counters_key& key : *keys) {
    if (key.service_id != id) continue;
    if (const Result<bool> gone = maps_.path_counters.erase(key); !gone) error += Result<void>(gone.error());
  }
  return error.result();
}

ServiceRows Sync::rows_of(const Service& service) {
  if (service.settings.locality != Locality::off && std::exchange(host_is_old_, false)) host_.read();
  return service_rows(service, [this](const IpAddress& ip) { return host_.contains(ip); });
}

Result<void> Sync::put_lists(std::uint32_t id, std::uint32_t generation, const std::vector<RowList>& lists) {
  for (std::uint32_t list = 0; list < lists.size(); ++list) {
    const auto& [rows, lookup] = lists[list];
    for (std::uint32_t slot = 0; slot < rows.size(); ++slot) {
      if (Result<void> done = maps_.endpoints.put({id, generation, list, slot}, rows[slot]); !done) return done;
    }
    for (std::uint32_t piece = 0; piece < pieces_of(lookup); ++piece) {
      Result<void> done = maps_.lookups.put({id, generation, list, piece}, piece_of(lookup, piece));
      if (!done) return done;
    }
  }
  return {};
}

Result<void> Sync::erase_lists(std::uint32_t id, std::uint32_t generation, const std::vector<RowList>& lists) {
  FirstError error;
  for (std::uint32_t list = 0; list < lists.size(); ++list) {
    for (std::uint32_t slot = 0; slot < lists[list].rows.size(); ++slot) {
      if (const Result<bool> gone = maps_.endpoints.erase({id, generation, list, slot}); !gone)
        error += Result<void>(gone.error());
    }
    for (std::uint32_t piece = 0; piece < pieces_of(lists[list].lookup); ++piece) {
      if (const Result<bool> gone = maps_.lookups.erase({id, generation, list, piece}); !gone)
        error += Result<void>(gone.error());
    }
  }
  return error.result();
}

}  // namespace causeway::kernel
