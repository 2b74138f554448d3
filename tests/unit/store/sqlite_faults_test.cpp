// Power taken away and disks filled: what was acknowledged stands, what was not is not seen.
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "store/sqlite_store.h"
#include "temporary_directory.h"

namespace causeway::store {
namespace {

constexpr int kKeys = 40;

/// Transaction n writes n to every key, so a half-done one shows as two different values.
Transaction numbered(std::uint64_t n) {
  Transaction transaction;
  for (int i = 0; i < kKeys; ++i) {
    transaction.puts.emplace_back("/k/" + std::to_string(i), std::to_string(n) + std::string(200, 'x'));
  }
  return transaction;
}

/// Runs `body` in a child; its exit status.
template <class Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

[[noreturn]] void write_until_killed(const std::string& path, int report) {
  auto store = SqliteStore::open(path);
  if (!store) ::_exit(2);
  for (;;) {
    const auto next = (*store)->revision().value + 1;
    const auto done = (*store)->commit(numbered(next));
    if (!done || !done->succeeded) ::_exit(3);
    if (::write(report, &next, sizeof next) != sizeof next) ::_exit(4);
    if (next % 7 == 0 && !(*store)->compact(Revision(next - 3))) ::_exit(5);
  }
}

/// The last number that the child acknowledged: everything left in the pipe.
std::uint64_t last_acknowledged(int pipe, std::uint64_t before) {
  std::uint64_t number = 0;
  while (::read(pipe, &number, sizeof number) == sizeof number) before = number;
  return before;
}

TEST(SqliteFaults, KilledInTheMiddleOfWritesNothingAcknowledgedIsLost) {
  const test::TemporaryDirectory directory;
  const auto path = directory.file("causeway.db");
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 40; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const Fd read_end(ends[0]);
    Fd write_end(ends[1]);
    const pid_t child = ::fork();
    if (child == 0) write_until_killed(path, write_end.get());
    write_end.reset();
    // Killed while it writes the transaction after the n-th of this round; n differs from round to round.
    for (int n = 0; n < 3 + 5 * round % 23; ++n) {
      ASSERT_EQ(::read(read_end.get(), &acknowledged, sizeof acknowledged), ssize_t{sizeof acknowledged});
    }
    ::usleep(static_cast<useconds_t>(37 * round));  // spreads the kill over the phases of a commit; decides nothing
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer failed by itself: " << WEXITSTATUS(status);
    acknowledged = last_acknowledged(read_end.get(), acknowledged);

    auto store = SqliteStore::open(path);
    ASSERT_TRUE(store) << store.error().message();
    const auto revision = (*store)->revision().value;
    // One more may have been written without its acknowledgement having got out.
    EXPECT_GE(revision, acknowledged);
    EXPECT_LE(revision, acknowledged + 1);
    const auto entries = (*store)->range("/k/");
    ASSERT_TRUE(entries);
    ASSERT_EQ(entries->size(), static_cast<std::size_t>(kKeys));
    for (const auto& entry : *entries) {
      EXPECT_EQ(entry.value, std::to_string(revision) + std::string(200, 'x')) << "half a transaction is seen";
      EXPECT_EQ(entry.modified, Revision(revision));
    }
    std::size_t newest = 0;
    ASSERT_TRUE((*store)->watch(Revision(revision - 1), [&](const auto& events) { newest = events.size(); }));
    EXPECT_EQ(newest, static_cast<std::size_t>(kKeys));
    const auto next = (*store)->commit(numbered(revision + 1));
    ASSERT_TRUE(next);
    EXPECT_EQ(next->revision, Revision(revision + 1));
    acknowledged = revision + 1;
  }
}

/// In a mount namespace of its own: a store on a file system of 1 MiB is filled, emptied and filled again.
int fill_a_small_disk(const std::string& mount_point) {
  if (::unshare(CLONE_NEWNS) != 0) return 10;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 11;
  if (::mount("tmpfs", mount_point.c_str(), "tmpfs", 0, "size=1m") != 0) return 12;
  const auto path = mount_point + "/causeway.db";
  const auto ballast = mount_point + "/ballast";
  auto opened = SqliteStore::open(path);
  if (!opened) return 13;
  auto& store = **opened;
  if (!store.commit(numbered(1))) return 14;
  const int fd = ::open(ballast.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::string block(4096, 'b');
  while (::write(fd, block.data(), block.size()) > 0) {
  }
  std::uint64_t n = 2;
  Result<Committed> done = store.commit(numbered(n));
  for (; done && n < 1000; done = store.commit(numbered(n))) ++n;
  if (done) return 15;
  const auto message = done.error().message();
  std::fprintf(stderr, "%s\n", message.c_str());
  if (message.find("disk is full") == std::string::npos || message.find(path) == std::string::npos) return 16;
  if (done.error().code != ENOSPC) return 17;
  const auto stands = [&](std::uint64_t expected) {
    const auto entries = store.range("/k/");
    if (!entries || entries->size() != kKeys || store.revision() != Revision(expected)) return false;
    for (const auto& entry : *entries) {
      if (entry.value != std::to_string(expected) + std::string(200, 'x')) return false;
    }
    return true;
  };
  if (!stands(n - 1)) return 18;
  if (store.commit(numbered(n))) return 19;
  // With room again it goes on where it stood, and the file is whole.
  ::close(fd);
  ::unlink(ballast.c_str());
  const auto again = store.commit(numbered(n));
  if (!again || again->revision != Revision(n)) return 20;
  opened->reset();
  auto reopened = SqliteStore::open(path);
  if (!reopened || (*reopened)->revision() != Revision(n)) return 21;
  return 0;
}

TEST(SqliteFaults, AFullDiskIsRefusedAndLeavesWhatStands) {
  ASSERT_EQ(::geteuid(), 0u) << "mounts a small file system in a namespace of its own: run as root";
  const test::TemporaryDirectory directory;
  EXPECT_EQ(in_child([&] { return fill_a_small_disk(directory.path()); }), 0);
}

int open_read_only(const std::string& mount_point) {
  if (::unshare(CLONE_NEWNS) != 0) return 10;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 11;
  if (::mount("tmpfs", mount_point.c_str(), "tmpfs", 0, "size=1m") != 0) return 12;
  const auto path = mount_point + "/causeway.db";
  if (auto opened = SqliteStore::open(path); !opened) return 13;
  if (::mount(nullptr, mount_point.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) return 14;
  const auto refused = SqliteStore::open(path);
  if (refused) return 15;
  std::fprintf(stderr, "%s\n", refused.error().message().c_str());
  return refused.error().message().find("Read-only file system") == std::string::npos ? 16 : 0;
}

TEST(SqliteFaults, AReadOnlyFileSystemIsTold) {
  ASSERT_EQ(::geteuid(), 0u) << "mounts a small file system in a namespace of its own: run as root";
  const test::TemporaryDirectory directory;
  EXPECT_EQ(in_child([&] { return open_read_only(directory.path()); }), 0);
}

}  // namespace
}  // namespace causeway::store
