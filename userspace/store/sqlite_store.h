#pragma once
// The store of one host: one SQLite file in WAL mode.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "store/store.h"

struct sqlite3;
struct sqlite3_stmt;

namespace causeway::store {

/// Every commit is synced to the disk before it returns (WAL with synchronous=FULL). Watchers are called before
/// commit() returns; one that commits itself is fine, its events come after those that it is being told.
class SqliteStore final : public Store {
 public:
  /// Opens or makes the file at `path`; its directory is made (0700) if absent. Errors: unreadable, read-only, not a
  /// database, of a newer schema, in use by another process (named).
  static Result<std::unique_ptr<SqliteStore>> open(const std::string& path);
  ~SqliteStore() override;

  Revision revision() const override { return revision_; }
  Result<std::vector<Entry>> range(std::string_view prefix) const override;
  Result<Committed> commit(const Transaction& transaction) override;
  Result<std::uint64_t> watch(Revision from, Watcher watcher) override;
  void cancel(std::uint64_t watch_id) override;
  Result<void> compact(Revision revision) override;

 private:
  struct Statement;
  class Rollback;

  SqliteStore(std::string path, Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  Result<void> prepare();
  Result<void> make_schema();
  Result<void> execute(const char* sql, std::string_view operation) const;
  Result<std::uint64_t> read_number(const char* name) const;
  Result<void> write_number(const char* name, std::uint64_t value);
  Result<std::unique_ptr<Statement>> statement(const char* sql) const;
  Result<void> still_there() const;
  Result<bool> holds(const Compare& compare) const;
  Result<void> write(const Transaction& transaction, Revision revision, std::vector<Event>& events);
  Error error(std::string_view operation) const;
  void deliver(std::vector<Event> events);
  void flush();

  std::string path_;
  Fd lock_;
  sqlite3* db_ = nullptr;
  Revision revision_;
  Revision compacted_;  ///< events up to here are forgotten
  std::map<std::uint64_t, Watcher> watchers_;
  std::uint64_t next_watch_ = 1;
  std::vector<std::vector<Event>> undelivered_;
  bool delivering_ = false;
};

}  // namespace causeway::store
