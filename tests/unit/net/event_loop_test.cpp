#include "net/event_loop.h"

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/connection.h"
#include "net/join.h"

namespace causeway::net {
namespace {

struct Pair {
  Pair() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    near = Fd(ends[0]);
    far = Fd(ends[1]);
  }
  Fd near, far;
};

Task<int> immediately(int value) {
  co_return value;
}

Task<> throws() {
  throw std::runtime_error("as it should");
  co_return;
}

TEST(TaskTest, ALoopOverTasksThatNeverWaitNeedsNoStack) {
  long sum = 0;
  bool ended = false;
  spawn(
      [&]() -> Task<> {
        for (int i = 0; i < 1'000'000; ++i) sum += co_await immediately(1);
      }(),
      [&](const std::exception_ptr&) { ended = true; });
  EXPECT_TRUE(ended);
  EXPECT_EQ(sum, 1'000'000);
}

TEST(TaskTest, ALoopOverTasksThatWaitEachTimeNeedsNoStack) {
  EventLoop loop;
  bool ended = false;
  const auto wait_once = [&]() -> Task<> { co_await loop.yield(); };
  const auto wait_often = [&]() -> Task<> {
    for (int i = 0; i < 200'000; ++i) co_await wait_once();
  };
  spawn(wait_often(), [&](const std::exception_ptr&) { ended = true; });
  while (!ended) loop.run_once(0);
}

TEST(TaskTest, AFailureReachesWhoAwaits) {
  std::string caught;
  const auto outer = [&]() -> Task<> {
    try {
      co_await throws();
    } catch (const std::exception& failure) {
      caught = failure.what();
    }
  };
  spawn(outer(), [](const std::exception_ptr& failure) { EXPECT_EQ(failure, nullptr); });
  EXPECT_EQ(caught, "as it should");
}

TEST(TaskTest, JoinWaitsForBothAndPassesAFailureOn) {
  EventLoop loop;
  int ended = 0;
  const auto wait = [&](int turns) -> Task<> {
    for (int i = 0; i < turns; ++i) co_await loop.yield();
    ++ended;
  };
  const auto fail = [&]() -> Task<> {
    co_await loop.yield();
    throw std::runtime_error("one of them");
  };
  const auto join_both = [&](bool failing) -> Task<> {
    auto first = failing ? fail() : wait(5);
    auto second = wait(2);
    co_await join(std::move(first), std::move(second));
    EXPECT_EQ(ended, 2);
  };
  bool done = false;
  spawn(join_both(false), [&](const std::exception_ptr& failure) {
    EXPECT_EQ(failure, nullptr);
    done = true;
  });
  while (!done) loop.run_once(0);
  done = false;
  spawn(join_both(true), [&](const std::exception_ptr& failure) {
    EXPECT_NE(failure, nullptr);
    done = true;
  });
  while (!done) loop.run_once(0);
  EXPECT_EQ(ended, 3);
}

TEST(EventLoopTest, RunsWhatOtherThreadsPostInOrder) {
  EventLoop loop;
  std::vector<int> order;
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) loop.post([&order, i] { order.push_back(i); });
    loop.post([&] { loop.stop(); });
  });
  loop.run();
  other.join();
  ASSERT_EQ(order.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(EventLoopTest, AnExceptionLosesNoEvent) {
  EventLoop loop;
  int ran = 0;
  loop.post([] { throw std::runtime_error("one function fails"); });
  loop.post([&] {
    ++ran;
    loop.stop();
  });
  EXPECT_THROW(loop.run(), std::runtime_error);
  loop.run();
  EXPECT_EQ(ran, 1);
}

TEST(EventLoopTest, EventsAtHandOfAClosedConnectionAreDropped) {
  EventLoop loop;
  Pair one, two;
  auto first = std::make_unique<Connection>(loop, std::move(one.near));
  auto second = std::make_unique<Connection>(loop, std::move(two.near));
  char room[8];
  int resumed = 0;
  // Whoever is resumed first closes the other, whose event lies in the same batch.
  const auto wait = [&](std::unique_ptr<Connection>& mine, std::unique_ptr<Connection>& other) -> Task<> {
    EXPECT_EQ(mine->try_read(room).error, boost::asio::error::would_block);
    const auto error = co_await mine->wait_readable();
    if (error) co_return;
    ++resumed;
    other->interrupt(boost::asio::error::operation_aborted);
    co_await loop.yield();
    other.reset();
  };
  int ended = 0;
  const auto count = [&](const std::exception_ptr&) { ++ended; };
  spawn(wait(first, second), count);
  spawn(wait(second, first), count);
  loop.run_once(0);
  ASSERT_EQ(::send(one.far.get(), "x", 1, 0), 1);
  ASSERT_EQ(::send(two.far.get(), "x", 1, 0), 1);
  while (ended < 2) loop.run_once(10);
  EXPECT_GE(resumed, 1);
}

TEST(ConnectionEdges, AnEndBehindAShortReadIsSeen) {
  EventLoop loop;
  Pair pair;
  Connection connection(loop, std::move(pair.near));
  // Both are there before the first event is taken: one edge tells of data and end.
  ASSERT_EQ(::send(pair.far.get(), "abc", 3, 0), 3);
  pair.far.reset();
  std::string got;
  bool done = false;
  const auto read = [&]() -> Task<> {
    co_await loop.yield();
    co_await loop.yield();
    for (;;) {
      char room[100];
      const IoResult result = co_await connection.read_some(room);
      if (result.error) {
        EXPECT_EQ(result.error, boost::asio::error::eof);
        break;
      }
      got.append(room, result.bytes);
    }
    done = true;
  };
  spawn(read(), [](const std::exception_ptr&) {});
  for (int turn = 0; !done && turn < 100; ++turn) loop.run_once(50);
  EXPECT_TRUE(done);
  EXPECT_EQ(got, "abc");
}

TEST(ConnectionEdges, DataThatCameWhileNobodyWaitedIsNotLost) {
  EventLoop loop;
  Pair pair;
  Connection connection(loop, std::move(pair.near));
  char room[100];
  EXPECT_EQ(connection.try_read(room).error, boost::asio::error::would_block);
  ASSERT_EQ(::send(pair.far.get(), "abc", 3, 0), 3);
  loop.run_once(0);  // takes the edge
  bool done = false;
  const auto read = [&]() -> Task<> {
    const IoResult result = co_await connection.read_some(room);
    EXPECT_EQ(result.bytes, 3u);
    done = true;
  };
  spawn(read(), [](const std::exception_ptr&) {});
  for (int turn = 0; !done && turn < 10; ++turn) loop.run_once(50);
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace causeway::net
