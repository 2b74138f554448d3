#include "store/sqlite_store.h"

#include <cerrno>
#include <fstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "temporary_directory.h"

namespace causeway::store {
namespace {

using testing::HasSubstr;

class SqliteStoreTest : public testing::Test {
 protected:
  std::unique_ptr<SqliteStore> open() {
    auto opened = SqliteStore::open(path_);
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().message());
    return opened ? std::move(*opened) : nullptr;
  }
  std::string failure() {
    auto opened = SqliteStore::open(path_);
    return opened ? "opened" : opened.error().message();
  }
  static Committed commit(Store& store, const Transaction& transaction) {
    auto done = store.commit(transaction);
    EXPECT_TRUE(done) << (done ? "" : done.error().message());
    return done ? *done : Committed{};
  }
  static std::vector<std::string> text(const Store& store, std::string_view prefix = "") {
    std::vector<std::string> out;
    for (const auto& e : *store.range(prefix))
      out.push_back(e.key + "=" + e.value + "@" + std::to_string(e.modified.value));
    return out;
  }
  static void record(std::vector<std::string>& out, const std::vector<Event>& events) {
    for (const auto& e : events) {
      out.push_back(std::to_string(e.revision.value) + " " + e.key + (e.value ? "=" + *e.value : " gone"));
    }
  }

  test::TemporaryDirectory directory_;
  std::string path_ = directory_.file("state/deep/causeway.db");
};

TEST_F(SqliteStoreTest, MakesItsDirectoryAndFilesForTheOwnerAlone) {
  const auto store = open();
  struct stat info {};
  ASSERT_EQ(::stat(directory_.file("state/deep").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(store->revision(), Revision(0));
}

TEST_F(SqliteStoreTest, ATransactionIsOneRevisionAndSurvivesReopening) {
  auto store = open();
  EXPECT_EQ(commit(*store, {.puts = {{"/a/1", "one"}, {"/b", std::string("\0\xff", 2)}}}).revision, Revision(1));
  EXPECT_EQ(commit(*store, {.puts = {{"/a/2", ""}}, .deletes = {"/b"}}).revision, Revision(2));
  store.reset();
  store = open();
  EXPECT_EQ(store->revision(), Revision(2));
  EXPECT_THAT(text(*store), testing::ElementsAre("/a/1=one@1", "/a/2=@2"));
  EXPECT_EQ(commit(*store, {.puts = {{"/c", "x"}}}).revision, Revision(3));
}

TEST_F(SqliteStoreTest, RangeTakesThePrefixLiterally) {
  auto store = open();
  commit(*store, {.puts = {{"/a", "0"}, {"/a%", "1"}, {"/a%b", "2"}, {"/a_", "3"}, {"/b", "4"}, {"/A", "5"}}});
  EXPECT_THAT(text(*store, "/a%"), testing::ElementsAre("/a%=1@1", "/a%b=2@1"));
  EXPECT_THAT(text(*store, "/a_"), testing::ElementsAre("/a_=3@1"));
  EXPECT_THAT(text(*store, "/zz"), testing::IsEmpty());
}

TEST_F(SqliteStoreTest, ACompareThatDoesNotHoldWritesNothing) {
  auto store = open();
  commit(*store, {.puts = {{"/a", "1"}}});
  const auto absent = commit(*store, {.compares = {{"/a", Revision(0)}}, .puts = {{"/a", "2"}}});
  EXPECT_FALSE(absent.succeeded);
  EXPECT_EQ(absent.revision, Revision(1));
  EXPECT_FALSE(commit(*store, {.compares = {{"/b", Revision(1)}}, .deletes = {"/a"}}).succeeded);
  EXPECT_THAT(text(*store), testing::ElementsAre("/a=1@1"));
  EXPECT_TRUE(
      commit(*store, {.compares = {{"/a", Revision(1)}, {"/b", Revision(0)}}, .puts = {{"/a", "3"}}}).succeeded);
  EXPECT_THAT(text(*store), testing::ElementsAre("/a=3@2"));
}

TEST_F(SqliteStoreTest, WhatChangesNothingIsNoRevision) {
  auto store = open();
  commit(*store, {.puts = {{"/a", "1"}}});
  const auto done = commit(*store, {.deletes = {"/absent"}});
  EXPECT_TRUE(done.succeeded);
  EXPECT_EQ(done.revision, Revision(1));
  EXPECT_EQ(store->revision(), Revision(1));
}

TEST_F(SqliteStoreTest, WatchesTellThePastThenEachTransactionWhole) {
  auto store = open();
  commit(*store, {.puts = {{"/a", "1"}}});
  commit(*store, {.puts = {{"/b", "2"}}, .deletes = {"/a"}});
  std::vector<std::string> seen;
  std::vector<std::size_t> batches;
  const auto id = store->watch(Revision(1), [&](const auto& events) {
    record(seen, events);
    batches.push_back(events.size());
  });
  ASSERT_TRUE(id);
  commit(*store, {.puts = {{"/c", "3"}, {"/d", "4"}}});
  EXPECT_THAT(seen, testing::ElementsAre("2 /b=2", "2 /a gone", "3 /c=3", "3 /d=4"));
  EXPECT_THAT(batches, testing::ElementsAre(2, 2));
  store->cancel(*id);
  commit(*store, {.puts = {{"/e", "5"}}});
  EXPECT_EQ(seen.size(), 4u);
}

TEST_F(SqliteStoreTest, AWatcherThatCommitsSeesItsOwnAfterwards) {
  auto store = open();
  commit(*store, {.puts = {{"/start", "1"}}});
  std::vector<std::string> seen;
  ASSERT_TRUE(store->watch(Revision(0), [&](const auto& events) {
    if (seen.size() < 3) commit(*store, {.puts = {{"/n", std::to_string(seen.size())}}});
    record(seen, events);
  }));
  EXPECT_THAT(seen, testing::ElementsAre("1 /start=1", "2 /n=0", "3 /n=1", "4 /n=2"));
}

TEST_F(SqliteStoreTest, CompactionForgetsEventsAndKeepsEntries) {
  auto store = open();
  for (int i = 0; i < 10; ++i) commit(*store, {.puts = {{"/a", std::to_string(i)}}});
  ASSERT_TRUE(store->compact(Revision(7)));
  store.reset();
  store = open();
  const auto gone = store->watch(Revision(6), [](const auto&) {});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ERANGE);
  std::vector<std::string> seen;
  ASSERT_TRUE(store->watch(Revision(7), [&](const auto& events) { record(seen, events); }));
  EXPECT_THAT(seen, testing::ElementsAre("8 /a=7", "9 /a=8", "10 /a=9"));
  EXPECT_THAT(text(*store), testing::ElementsAre("/a=9@10"));
}

TEST_F(SqliteStoreTest, ASecondOpenerIsRefusedAndToldByWhom) {
  auto store = open();
  const auto message = failure();
  EXPECT_THAT(message, HasSubstr("process " + std::to_string(::getpid()) + " uses it"));
  EXPECT_THAT(message, HasSubstr(path_));
  store.reset();
  EXPECT_EQ(failure(), "opened");
}

TEST_F(SqliteStoreTest, AForeignSqliteClientCannotWriteInBetween) {
  auto store = open();
  commit(*store, {.puts = {{"/a", "1"}}});
  sqlite3* foreign = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &foreign), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(foreign, "DELETE FROM entries", nullptr, nullptr, nullptr), SQLITE_BUSY);
  sqlite3_close(foreign);
}

TEST_F(SqliteStoreTest, RefusesWhatIsNotADatabase) {
  open();
  std::ofstream(path_, std::ios::trunc) << std::string(8192, 'x');
  EXPECT_THAT(failure(), HasSubstr("not a SQLite database; move it away"));
  EXPECT_THAT(failure(), HasSubstr(path_));
}

TEST_F(SqliteStoreTest, RefusesANewerSchema) {
  open();
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &raw), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(raw, "UPDATE numbers SET value = 99 WHERE name = 'schema'", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(raw);
  EXPECT_THAT(failure(), HasSubstr("written by a newer causewayd (schema 99"));
}

TEST_F(SqliteStoreTest, RefusesADirectoryThatCannotBeMade) {
  std::ofstream(directory_.file("state")) << "a file";
  EXPECT_THAT(failure(), HasSubstr("Not a directory"));
}

TEST_F(SqliteStoreTest, RefusesAPathThatIsADirectory) {
  std::filesystem::create_directories(path_);
  EXPECT_THAT(failure(), HasSubstr("open the store " + path_));
}

}  // namespace
}  // namespace causeway::store
