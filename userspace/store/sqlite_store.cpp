#include "store/sqlite_store.h"

#include <cerrno>
#include <utility>

#include <fmt/core.h>
#include <sqlite3.h>

#include "store/sqlite_file.h"

namespace causeway::store {
namespace {

constexpr std::uint64_t kSchema = 1;

constexpr const char* kTables = R"(
  CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, modified INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS events (revision INTEGER, place INTEGER, key TEXT NOT NULL, value BLOB,
                                     PRIMARY KEY (revision, place)) WITHOUT ROWID;
)";

}  // namespace

/// One prepared statement: bind in order, then step.
struct SqliteStore::Statement {
  sqlite3_stmt* stmt = nullptr;
  int bound = 0;

  Statement() = default;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(stmt); }

  Statement& text(std::string_view v) {
    sqlite3_bind_text(stmt, ++bound, v.data(), static_cast<int>(v.size()), SQLITE_STATIC);
    return *this;
  }
  Statement& blob(std::string_view v) {
    sqlite3_bind_blob64(stmt, ++bound, v.data() == nullptr ? "" : v.data(), v.size(), SQLITE_STATIC);
    return *this;
  }
  Statement& null() {
    sqlite3_bind_null(stmt, ++bound);
    return *this;
  }
  Statement& number(std::uint64_t v) {
    sqlite3_bind_int64(stmt, ++bound, static_cast<sqlite3_int64>(v));
    return *this;
  }
  /// SQLITE_ROW, SQLITE_DONE or an error.
  int step() { return sqlite3_step(stmt); }
  void rewind() {
    sqlite3_reset(stmt);
    bound = 0;
  }
  std::string column(int i) const {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(stmt, i));
    return data == nullptr ? std::string() : std::string(data, static_cast<std::size_t>(sqlite3_column_bytes(stmt, i)));
  }
  std::uint64_t column_number(int i) const { return static_cast<std::uint64_t>(sqlite3_column_int64(stmt, i)); }
  bool column_null(int i) const { return sqlite3_column_type(stmt, i) == SQLITE_NULL; }
};

/// Rolls an open transaction back unless it was committed. After SQLITE_FULL or SQLITE_IOERR SQLite may have rolled
/// back by itself: then autocommit is on again and a second ROLLBACK would only be an error.
class SqliteStore::Rollback {
 public:
  explicit Rollback(sqlite3* db) : db_(db) {}
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;
  ~Rollback() {
    if (sqlite3_get_autocommit(db_) == 0) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
  }

 private:
  sqlite3* db_;
};

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& path) {
  if (auto made = make_directory(path); !made) return made.error();
  auto lock = lock_file(path);
  if (!lock) return lock.error();
  if (auto made = make_private_file(path); !made) return made.error();
  std::unique_ptr<SqliteStore> store(new SqliteStore(path, std::move(*lock)));
  if (auto prepared = store->prepare(); !prepared) return prepared.error();
  return store;
}

SqliteStore::~SqliteStore() {
  sqlite3_close(db_);
}

Error SqliteStore::error(std::string_view operation) const {
  return describe(sqlite3_extended_errcode(db_), sqlite3_errmsg(db_), operation, path_);
}

Result<void> SqliteStore::prepare() {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (sqlite3_open_v2(path_.c_str(), &db_, flags, nullptr) != SQLITE_OK) return error("open the store");
  // Where the file cannot be written SQLite opens it read-only, silently.
  if (sqlite3_db_readonly(db_, "main") == 1) {
    return describe(SQLITE_READONLY, "", "open the store", path_);
  }
  sqlite3_busy_timeout(db_, 2000);
  // EXCLUSIVE before the first access: no shared memory file, and a foreign writer cannot get between two revisions.
  for (const char* sql : {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
                          "PRAGMA trusted_schema=OFF", "PRAGMA cell_size_check=ON"}) {
    if (auto done = execute(sql, "open the store"); !done) return done;
  }
  if (auto made = make_schema(); !made) return made;
  const auto revision = read_number("revision");
  if (!revision) return revision.error();
  const auto compacted = read_number("compacted");
  if (!compacted) return compacted.error();
  revision_ = Revision(*revision);
  compacted_ = Revision(*compacted);
  return {};
}

Result<void> SqliteStore::make_schema() {
  if (auto begun = execute("BEGIN IMMEDIATE", "open the store"); !begun) return begun;
  const Rollback rollback(db_);
  if (auto made = execute(kTables, "make the tables of the store"); !made) return made;
  const auto schema = read_number("schema");
  if (!schema) return schema.error();
  if (*schema > kSchema) {
    return make_error("open the store", path_,
                      fmt::format("written by a newer causewayd (schema {}, this one knows {}); start that version, or "
                                  "move the file away to begin empty",
                                  *schema, kSchema));
  }
  if (*schema == 0) {
    if (auto written = write_number("schema", kSchema); !written) return written;
  }
  return execute("COMMIT", "open the store");
}

Result<void> SqliteStore::execute(const char* sql, std::string_view operation) const {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error(operation);
  return {};
}

Result<std::unique_ptr<SqliteStore::Statement>> SqliteStore::statement(const char* sql) const {
  auto made = std::make_unique<Statement>();
  if (sqlite3_prepare_v2(db_, sql, -1, &made->stmt, nullptr) != SQLITE_OK) return error("read the store");
  return made;
}

Result<std::uint64_t> SqliteStore::read_number(const char* name) const {
  auto select = statement("SELECT value FROM numbers WHERE name = ?");
  if (!select) return select.error();
  const int code = (*select)->text(name).step();
  if (code == SQLITE_ROW) return (*select)->column_number(0);
  if (code != SQLITE_DONE) return error("read the store");
  return std::uint64_t{0};
}

Result<void> SqliteStore::write_number(const char* name, std::uint64_t value) {
  auto replace = statement("REPLACE INTO numbers (name, value) VALUES (?, ?)");
  if (!replace) return replace.error();
  if ((*replace)->text(name).number(value).step() != SQLITE_DONE) return error("write the store");
  return {};
}

Result<std::vector<Entry>> SqliteStore::range(std::string_view prefix) const {
  auto select = statement("SELECT key, value, modified FROM entries WHERE key >= ? ORDER BY key");
  if (!select) return select.error();
  (*select)->text(prefix.data() == nullptr ? std::string_view("") : prefix);
  std::vector<Entry> entries;
  int code = 0;
  while ((code = (*select)->step()) == SQLITE_ROW) {
    auto key = (*select)->column(0);
    if (!key.starts_with(prefix)) break;
    entries.push_back({std::move(key), (*select)->column(1), Revision((*select)->column_number(2))});
  }
  if (code != SQLITE_DONE && code != SQLITE_ROW) return error("read the store");
  return entries;
}

Result<bool> SqliteStore::holds(const Compare& compare) const {
  auto select = statement("SELECT modified FROM entries WHERE key = ?");
  if (!select) return select.error();
  const int code = (*select)->text(compare.key).step();
  if (code == SQLITE_ROW) return (*select)->column_number(0) == compare.modified.value;
  if (code != SQLITE_DONE) return error("read the store");
  return compare.modified == Revision(0);
}

Result<void> SqliteStore::write(const Transaction& transaction, Revision revision, std::vector<Event>& events) {
  auto put = statement("REPLACE INTO entries (key, value, modified) VALUES (?, ?, ?)");
  if (!put) return put.error();
  for (const auto& [key, value] : transaction.puts) {
    (*put)->rewind();
    if ((*put)->text(key).blob(value).number(revision.value).step() != SQLITE_DONE) return error("write the store");
    events.push_back({key, value, revision});
  }
  auto remove = statement("DELETE FROM entries WHERE key = ?");
  if (!remove) return remove.error();
  for (const auto& key : transaction.deletes) {
    (*remove)->rewind();
    if ((*remove)->text(key).step() != SQLITE_DONE) return error("write the store");
    if (sqlite3_changes(db_) > 0) events.push_back({key, std::nullopt, revision});
  }
  auto log = statement("INSERT INTO events (revision, place, key, value) VALUES (?, ?, ?, ?)");
  if (!log) return log.error();
  for (std::size_t i = 0; i < events.size(); ++i) {
    (*log)->rewind();
    (*log)->number(revision.value).number(i).text(events[i].key);
    if (events[i].value)
      (*log)->blob(*events[i].value);
    else
      (*log)->null();
    if ((*log)->step() != SQLITE_DONE) return error("write the store");
  }
  return {};
}

Result<void> SqliteStore::still_there() const {
  // Otherwise SQLite writes on into the unlinked file, and all of it is gone with the process.
  int moved = 0;
  if (sqlite3_file_control(db_, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved == 0) return {};
  return make_error("write the store", path_,
                    "the file was removed or replaced while the agent runs; put it back (or accept what the agent last read) and restart it");
}

Result<Committed> SqliteStore::commit(const Transaction& transaction) {
  if (auto there = still_there(); !there) return there.error();
  if (auto begun = execute("BEGIN IMMEDIATE", "write the store"); !begun) return begun.error();
  const Rollback rollback(db_);
  for (const auto& compare : transaction.compares) {
    const auto held = holds(compare);
    if (!held) return held.error();
    if (!*held) return Committed{false, revision_};
  }
  const Revision next(revision_.value + 1);
  std::vector<Event> events;
  if (auto written = write(transaction, next, events); !written) return written.error();
  if (events.empty()) return Committed{true, revision_};
  if (auto written = write_number("revision", next.value); !written) return written.error();
  if (auto done = execute("COMMIT", "write the store"); !done) return done.error();
  revision_ = next;
  deliver(std::move(events));
  return Committed{true, next};
}

void SqliteStore::deliver(std::vector<Event> events) {
  undelivered_.push_back(std::move(events));
  if (!delivering_) flush();
}

void SqliteStore::flush() {
  delivering_ = true;
  for (std::size_t i = 0; i < undelivered_.size(); ++i) {
    const auto batch = std::move(undelivered_[i]);
    const auto watchers = watchers_;  // a watcher may cancel itself or others
    for (const auto& [id, watcher] : watchers) {
      if (watchers_.contains(id)) watcher(batch);
    }
  }
  undelivered_.clear();
  delivering_ = false;
}

Result<std::uint64_t> SqliteStore::watch(Revision from, Watcher watcher) {
  if (from < compacted_) {
    auto gone = make_error("watch the store", path_,
                           fmt::format("the events after revision {} were compacted (up to {}); read everything again",
                                       from.value, compacted_.value));
    gone.code = ERANGE;
    return gone;
  }
  auto select = statement("SELECT key, value, revision FROM events WHERE revision > ? ORDER BY revision, place");
  if (!select) return select.error();
  (*select)->number(from.value);
  std::vector<Event> past;
  int code = 0;
  while ((code = (*select)->step()) == SQLITE_ROW) {
    auto value = (*select)->column_null(1) ? std::nullopt : std::optional((*select)->column(1));
    past.push_back({(*select)->column(0), std::move(value), Revision((*select)->column_number(2))});
  }
  if (code != SQLITE_DONE) return error("read the store");
  const auto id = next_watch_++;
  watchers_.emplace(id, watcher);
  if (past.empty()) return id;
  // What the watcher commits itself waits until it has been told the past.
  const bool nested = std::exchange(delivering_, true);
  watcher(past);
  delivering_ = nested;
  if (!nested) flush();
  return id;
}

void SqliteStore::cancel(std::uint64_t watch_id) {
  watchers_.erase(watch_id);
}

Result<void> SqliteStore::compact(Revision revision) {
  if (revision <= compacted_) return {};
  if (revision > revision_) revision = revision_;
  if (auto begun = execute("BEGIN IMMEDIATE", "compact the store"); !begun) return begun;
  const Rollback rollback(db_);
  auto remove = statement("DELETE FROM events WHERE revision <= ?");
  if (!remove) return remove.error();
  if ((*remove)->number(revision.value).step() != SQLITE_DONE) return error("compact the store");
  if (auto written = write_number("compacted", revision.value); !written) return written;
  if (auto done = execute("COMMIT", "compact the store"); !done) return done;
  compacted_ = revision;
  return {};
}

}  // namespace causeway::store
