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
  /// `before`: an older one, whose indexes are shared or followed, or null.
  explicit Zone(SnapshotPtr snapshot, const Zone* before = nullptr);
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

  const SnapshotPtr& snapshot() const { return snapshot_; }
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
  /// A Cloud Map service and the hosts below its name, which one with SRV records has.
  struct Hosts {
    std::shared_ptr<const CloudMapName> service;
    std::unordered_map<std::string, const CloudMapInstance*> instances;
    std::unordered_set<std::string> inner;  ///< of instance ids with dots
  };
  using AliasList = std::vector<const AliasName*>;
  using AliasIndex = std::unordered_map<std::string, AliasList>;
  using Zones = std::unordered_map<std::string, NamespaceZone>;
  struct Aliases {
    AliasIndex by_name;
    AliasIndex by_address;
    std::unordered_set<std::string> inner;
  };

  std::shared_ptr<const Zones> index_zones() const;
  std::shared_ptr<const Aliases> index_aliases() const;
  std::shared_ptr<const Hosts> index_hosts(const std::string& name, std::shared_ptr<const CloudMapName> service) const;
  void follow_hosts(const Zone* before);
  void remove_host(const std::string& name);
  /// The names between `name` and the apex of its zone.
  std::vector<std::string> names_above(const std::string& name) const;
  std::optional<Host> find_host(const std::string& name) const;
  bool is_inner(const std::string& name) const;
  const NamespaceZone* zone_of(std::string_view name, std::string& apex) const;
  static AliasList visible(const AliasIndex& index, const std::string& name, NamespaceNumber asker);
  Answer answer_alias(const Query& query, const AliasList& found) const;
  Answer answer_zone(const Query& query, const NamespaceZone& zone, const std::string& apex, Random& random) const;
  void add_records(Answer& answer, const Host& host, const std::string& name, std::uint16_t type, Random& random) const;
  void follow_cname(Answer& answer, std::uint16_t type, Random& random) const;
  Answer negative(Rcode rcode, const std::string& apex, std::uint32_t ttl) const;

  SnapshotPtr snapshot_;
  std::shared_ptr<const Zones> zones_;
  std::shared_ptr<const Aliases> aliases_;  ///< into the snapshot's alias names
  SharedMap<std::string, std::shared_ptr<const Hosts>> hosts_;
  /// Names without records that have names of Cloud Map services below them, and how many (RFC 8020).
  SharedMap<std::string, std::uint32_t> inner_;
};

}  // namespace causeway::dns
