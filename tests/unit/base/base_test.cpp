#include <cerrno>
#include <set>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/random.h"
#include "base/result.h"

namespace causeway {
namespace {

TEST(Fd, ClosesOnceAndMovesAway) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  Fd write_end(ends[1]);
  {
    Fd read_end(ends[0]);
    Fd moved = std::move(read_end);
    EXPECT_EQ(moved.get(), ends[0]);
  }
  EXPECT_EQ(::fcntl(ends[0], F_GETFD), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(::fcntl(write_end.get(), F_GETFD), 0);
}

TEST(Result, NamesOperationSubjectAndCause) {
  const Result<int> failed = errno_error(ENOENT, "open", "/nowhere");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message(), "open /nowhere: No such file or directory");
  EXPECT_EQ(failed.error().code, ENOENT);
  EXPECT_THROW(failed.value(), std::runtime_error);
}

TEST(FastRandom, BelowStaysBelowAndReachesAll) {
  FastRandom random(7);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.below(10));
  EXPECT_EQ(seen.size(), 10u);
  EXPECT_EQ(*seen.rbegin(), 9u);
}

TEST(FastRandom, SeededGivesTheSameAndUnseededNot) {
  EXPECT_EQ(FastRandom(7).next(), FastRandom(7).next());
  EXPECT_NE(FastRandom().next(), FastRandom().next());
}

TEST(FastRandom, IdsHaveTheirLengthAndAlphabet) {
  FastRandom random;
  const auto id = random.alphanumeric(16);
  EXPECT_EQ(id.size(), 16u);
  EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789"), std::string::npos);
  EXPECT_NE(id, random.alphanumeric(16));
}

}  // namespace
}  // namespace causeway
