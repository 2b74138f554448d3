#pragma once
// The names of one snapshot, indexed for answering. Immutable once built.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/random.h"
#include "dns/message.h"
#include "model/snapshot.h"

namespace causeway::dns {

/// How long a program may keep an alias's address. The address itself is stable; what changes is whether the name
/// exists, and asking again costs microseconds on this host, so that a short time costs nothing.
inline constexpr std::uint32_t kAliasTtlSeconds = 5;

class Zone {
 public:
  explicit Zone(SnapshotPtr snapshot);
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

  Revision revision() const { return snapshot_->revision; }

  /// The answer to a standard query from an asker of that namespace; empty where the name is not ours. In this order:
  /// the AWS client's `data-` hosts, aliases that the asker sees, names below private DNS namespaces, addresses of
  /// aliases (PTR). Any thread; `random` is the caller's.
  std::optional<Answer> answer(const Query& query, NamespaceNumber asker, Random& random) const;

 private:
  /// A Cloud Map service's name, or (with `instance`) INSTANCE.SERVICE.NAMESPACE.
  struct Host {
    const CloudMapName* service;
    const CloudMapInstance* instance;
  };
  using AliasList = std::vector<const AliasName*>;
  using AliasIndex = std::unordered_map<std::string, AliasList>;

  void add_aliases();
  void add_host(const std::string& name, Host host);
  const NamespaceZone* zone_of(std::string_view name, std::string& apex) const;
  static AliasList visible(const AliasIndex& index, const std::string& name, NamespaceNumber asker);
  Answer answer_alias(const Query& query, const AliasList& found) const;
  Answer answer_zone(const Query& query, const NamespaceZone& zone, const std::string& apex, Random& random) const;
  void add_records(Answer& answer, const Host& host, const std::string& name, std::uint16_t type, Random& random) const;
  void follow_cname(Answer& answer, std::uint16_t type, Random& random) const;
  Answer negative(Rcode rcode, const std::string& apex, std::uint32_t ttl) const;

  SnapshotPtr snapshot_;
  AliasIndex aliases_;
  AliasIndex reverse_;
  std::unordered_map<std::string, const NamespaceZone*> zones_;
  std::unordered_map<std::string, Host> hosts_;
  std::unordered_set<std::string> inner_;  ///< names without records that have names below them (RFC 8020)
};

}  // namespace causeway::dns
