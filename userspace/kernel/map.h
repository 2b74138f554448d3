#pragma once
// BPF maps by key and value type. Move-only owners of a descriptor; every failure names the map and the operation.
#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace causeway::kernel {

/// A map's descriptor and what a message about it needs. The typed Map below is what callers use.
class RawMap {
 public:
  RawMap() = default;
  /// `limit`: its max_entries. `holds`: what an entry is, in the plural ("alias addresses"). `setting`: the key of the
  /// configuration that sets the limit, or "".
  RawMap(std::string name, Fd fd, std::uint32_t limit, std::string holds, std::string setting = {});

  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }
  std::uint32_t limit() const { return limit_; }

 protected:
  Result<void> put_bytes(const void* key, const void* value);
  Result<void> put_new_bytes(const void* key, const void* value);
  Result<bool> erase_bytes(const void* key);
  Result<bool> get_bytes(const void* key, void* value) const;
  /// False after the last key. `previous` null: the first key.
  Result<bool> next_key(const void* previous, void* next) const;

 private:
  Result<void> put_bytes(const void* key, const void* value, std::uint64_t flags);

  std::string name_;
  Fd fd_;
  std::uint32_t limit_ = 0;
  std::string holds_;
  std::string setting_;
};

/// Thread-safe as the kernel's maps are: each call is one system call.
template <class Key, class Value>
class Map : public RawMap {
  static_assert(std::is_trivially_copyable_v<Key> && std::is_trivially_copyable_v<Value>);

 public:
  using RawMap::RawMap;

  /// E2BIG: the map is full, and the message says of how many.
  Result<void> put(const Key& key, const Value& value) { return put_bytes(&key, &value); }
  /// As put(), but what stands there stays.
  Result<void> put_new(const Key& key, const Value& value) { return put_new_bytes(&key, &value); }
  /// True if there was one.
  Result<bool> erase(const Key& key) { return erase_bytes(&key); }
  Result<std::optional<Value>> get(const Key& key) const {
    Value value{};
    const Result<bool> found = get_bytes(&key, &value);
    if (!found) return found.error();
    return *found ? std::optional<Value>(value) : std::nullopt;
  }
  /// All entries, for a map that only this process changes. Of another one those that come or go meanwhile may be
  /// missing or double.
  Result<std::vector<std::pair<Key, Value>>> entries() const {
    std::vector<std::pair<Key, Value>> all;
    Key key{};
    const void* previous = nullptr;
    // The walk begins anew where the last key has gone: bounded, or it might not end.
    for (std::size_t steps = 0; steps <= 2 * std::size_t{limit()}; ++steps) {
      Key next{};
      const Result<bool> more = next_key(previous, &next);
      if (!more) return more.error();
      if (!*more) return all;
      key = next;
      previous = &key;
      const Result<std::optional<Value>> value = get(key);
      if (!value) return value.error();
      if (*value) all.emplace_back(key, **value);
    }
    return all;
  }
};

/// How many values an entry of a per-CPU map has.
std::size_t possible_cpus();

/// A map whose programs write one value a CPU. Value is counters alone: their sum is the entry. Thread-safe as Map.
template <class Key, class Value>
class PerCpuMap : public RawMap {
  static_assert(std::is_trivially_copyable_v<Key> && sizeof(Value) % sizeof(std::uint64_t) == 0);

 public:
  using RawMap::RawMap;

  /// An entry of zeroes; what stands there stays.
  Result<void> make(const Key& key) {
    const std::vector<Value> zeroes(possible_cpus());
    return put_new_bytes(&key, zeroes.data());
  }
  Result<bool> erase(const Key& key) { return erase_bytes(&key); }
  /// The keys that are there; one that comes or goes meanwhile may be missing or double.
  Result<std::vector<Key>> keys() const {
    std::vector<Key> all;
    Key key{};
    const void* previous = nullptr;
    while (all.size() < std::size_t{limit()}) {
      Key next{};
      const Result<bool> more = next_key(previous, &next);
      if (!more) return more.error();
      if (!*more) break;
      all.push_back(key = next);
      previous = &key;
    }
    return all;
  }
  /// The sum over the CPUs.
  Result<std::optional<Value>> sum(const Key& key) const {
    constexpr std::size_t kWords = sizeof(Value) / sizeof(std::uint64_t);
    std::vector<std::uint64_t> values(possible_cpus() * kWords);
    const Result<bool> found = get_bytes(&key, values.data());
    if (!found) return found.error();
    if (!*found) return std::nullopt;
    std::array<std::uint64_t, kWords> sums{};
    for (std::size_t i = 0; i < values.size(); ++i) sums[i % kWords] += values[i];
    return std::bit_cast<Value>(sums);
  }
};

}  // namespace causeway::kernel
