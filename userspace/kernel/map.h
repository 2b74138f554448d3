#pragma once
// BPF maps by key and value type. Move-only owners of a descriptor; every failure names the map and the operation.
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
  /// `limit`: its max_entries. `holds`: what an entry is, in the plural ("alias addresses").
  RawMap(std::string name, Fd fd, std::uint32_t limit, std::string holds);

  int fd() const { return fd_.get(); }
  const std::string& name() const { return name_; }

 protected:
  Result<void> put_bytes(const void* key, const void* value);
  Result<bool> erase_bytes(const void* key);
  Result<bool> get_bytes(const void* key, void* value) const;
  /// False after the last key. `previous` null: the first key.
  Result<bool> next_key(const void* previous, void* next) const;

 private:
  std::string name_;
  Fd fd_;
  std::uint32_t limit_ = 0;
  std::string holds_;
};

/// Thread-safe as the kernel's maps are: each call is one system call.
template <class Key, class Value>
class Map : public RawMap {
  static_assert(std::is_trivially_copyable_v<Key> && std::is_trivially_copyable_v<Value>);

 public:
  using RawMap::RawMap;

  /// E2BIG: the map is full, and the message says of how many.
  Result<void> put(const Key& key, const Value& value) { return put_bytes(&key, &value); }
  /// True if there was one.
  Result<bool> erase(const Key& key) { return erase_bytes(&key); }
  Result<std::optional<Value>> get(const Key& key) const {
    Value value{};
    const Result<bool> found = get_bytes(&key, &value);
    if (!found) return found.error();
    return *found ? std::optional<Value>(value) : std::nullopt;
  }
  /// All entries, for a map that only this process changes.
  Result<std::vector<std::pair<Key, Value>>> entries() const {
    std::vector<std::pair<Key, Value>> all;
    Key key{};
    const void* previous = nullptr;
    for (;;) {
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
  }
};

}  // namespace causeway::kernel
