#pragma once
// The store: an ordered map of keys to values with transactions, a revision that grows by one a transaction, and a
// watch from a revision. SQLite implements it for one host; etcd will for many, so nothing here asks for more than
// etcd's v3 API gives (Range, Txn, Watch, Compact).
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/ids.h"

namespace causeway::store {

struct Entry {
  std::string key;
  std::string value;
  Revision modified;  ///< the revision that wrote it last
};

/// One change of one key. Events of one transaction carry the same revision and are delivered together.
struct Event {
  std::string key;
  std::optional<std::string> value;  ///< empty: the key was deleted
  Revision revision;
};

/// The key must still stand at this revision (0: must not exist), or the transaction does nothing.
struct Compare {
  std::string key;
  Revision modified;
};

struct Transaction {
  std::vector<Compare> compares{};
  std::vector<std::pair<std::string, std::string>> puts{};
  std::vector<std::string> deletes{};
  bool empty() const { return puts.empty() && deletes.empty(); }
};

struct Committed {
  bool succeeded = false;  ///< false: a compare did not hold, nothing was written
  Revision revision;       ///< the store's revision after the transaction
};

/// Called with all events of one or more whole transactions, in order.
using Watcher = std::function<void(const std::vector<Event>&)>;

/// Not thread-safe: one thread owns a store.
class Store {
 public:
  virtual ~Store() = default;

  virtual Revision revision() const = 0;
  /// All entries whose key starts with `prefix`, ordered by key; "" is everything.
  virtual Result<std::vector<Entry>> range(std::string_view prefix) const = 0;
  /// Durable when it returns: a transaction that was answered survives kill -9 and power loss.
  /// An Error means that nothing was written (full disk, unreadable file).
  virtual Result<Committed> commit(const Transaction& transaction) = 0;
  /// Delivers every event after `from`, then those to come, on the owning thread, until cancelled. An Error with
  /// code ERANGE where `from` was compacted: read range() again.
  virtual Result<std::uint64_t> watch(Revision from, Watcher watcher) = 0;
  virtual void cancel(std::uint64_t watch_id) = 0;
  /// Forgets the events up to `revision` (the entries stay).
  virtual Result<void> compact(Revision revision) = 0;
};

}  // namespace causeway::store
