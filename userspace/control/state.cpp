#include "control/state.h"

#include <charconv>

#include <strings.h>

namespace causeway::control {
namespace {

using Value = std::optional<std::string>;

Error name_key(Error error, const std::string& key) {
  error.operation = "read the store's entry";
  error.cause = error.subject + ": " + error.cause;
  error.subject = key;
  return error;
}

/// Records that stand under one name: /PREFIX/NAME.
template <class R>
Result<void> apply_flat(std::map<std::string, R>& records, std::string_view name, const Value& value) {
  if (!value) {
    records.erase(std::string(name));
    return {};
  }
  return decode(*value, records[std::string(name)]);
}

std::string nested_key(std::string_view text, const std::string*) {
  return std::string(text);
}

std::uint32_t nested_key(std::string_view text, const std::uint32_t*) {
  std::uint32_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// Records that stand under two names: /PREFIX/OUTER/INNER; INNER may contain slashes (instance ids do).
template <class K, class R>
Result<void> apply_nested(std::map<std::string, std::map<K, R>>& records, std::string_view name, const Value& value) {
  const auto slash = name.find('/');
  if (slash == std::string_view::npos) return make_error("decode", "key", "a name is missing");
  const std::string outer(name.substr(0, slash));
  const K inner = nested_key(name.substr(slash + 1), static_cast<const K*>(nullptr));
  if (value) return decode(*value, records[outer][inner]);
  const auto found = records.find(outer);
  if (found == records.end()) return {};
  found->second.erase(inner);
  if (found->second.empty()) records.erase(found);
  return {};
}

Result<void> apply_counter(std::map<std::string, std::uint64_t>& counters, std::string_view name, const Value& value) {
  if (!value) {
    counters.erase(std::string(name));
    return {};
  }
  std::uint64_t number = 0;
  const auto [end, ec] = std::from_chars(value->data(), value->data() + value->size(), number);
  if (ec != std::errc{} || end != value->data() + value->size()) return make_error("decode", "counter", "not a number");
  counters[std::string(name)] = number;
  return {};
}

bool strip(std::string_view& key, std::string_view prefix) {
  if (!key.starts_with(prefix)) return false;
  key.remove_prefix(prefix.size());
  return true;
}

Result<void> apply_entry(State& state, std::string_view key, const Value& value) {
  if (strip(key, "/namespaces/")) return apply_flat(state.namespaces, key, value);
  if (strip(key, "/services/")) return apply_flat(state.services, key, value);
  if (strip(key, "/instances/")) return apply_nested(state.instances, key, value);
  if (strip(key, "/operations/")) return apply_flat(state.operations, key, value);
  if (strip(key, "/ecs/clusters/")) return apply_flat(state.clusters, key, value);
  if (strip(key, "/ecs/task-definitions/")) return apply_nested(state.task_definitions, key, value);
  if (strip(key, "/ecs/services/")) return apply_nested(state.ecs_services, key, value);
  if (strip(key, "/ecs/tasks/")) return apply_nested(state.tasks, key, value);
  if (strip(key, "/vips/")) return apply_nested(state.vips, key, value);
  if (strip(key, "/counters/")) return apply_counter(state.counters, key, value);
  return {};  // written by a newer agent
}

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

Result<void> State::apply(const std::vector<store::Event>& events) {
  for (const auto& event : events) {
    const auto applied = apply_entry(*this, event.key, event.value);
    if (!applied) return name_key(applied.error(), event.key);
    if (event.revision > revision_) revision_ = event.revision;
  }
  return {};
}

Result<void> State::load(const store::Store& store) {
  auto entries = store.range("");
  if (!entries) return entries.error();
  *this = State();
  for (const auto& entry : *entries) {
    const auto applied = apply_entry(*this, entry.key, entry.value);
    if (!applied) return name_key(applied.error(), entry.key);
  }
  revision_ = store.revision();
  return {};
}

const NamespaceRecord* State::find_namespace_by_name(std::string_view name) const {
  for (const auto& [id, record] : namespaces) {
    if (same_name(record.name, name)) return &record;
  }
  return nullptr;
}

const NamespaceRecord* State::find_namespace(std::string_view reference) const {
  if (const auto found = namespaces.find(std::string(reference)); found != namespaces.end()) return &found->second;
  if (reference.starts_with("arn:")) {
    for (const auto& [id, record] : namespaces) {
      if (record.arn == reference) return &record;
    }
    return nullptr;
  }
  return find_namespace_by_name(reference);
}

const ServiceRecord* State::find_service(std::string_view namespace_id, std::string_view name) const {
  for (const auto& [id, record] : services) {
    if (record.namespace_id == namespace_id && same_name(record.name, name)) return &record;
  }
  return nullptr;
}

}  // namespace causeway::control
