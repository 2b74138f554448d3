#include "feed/feed.h"

#include <array>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "feed/codec.h"
#include "base/descriptors.h"
#include "feed/frame.h"
#include "feed/handover.h"
#include "support.h"

namespace causeway::feed {
namespace {

using namespace std::chrono_literals;
using test::run_until;

Fd memory_file() {
  return Fd(::memfd_create("feed-test", MFD_CLOEXEC));
}

ino_t inode(const Fd& fd) {
  struct stat info {};
  EXPECT_EQ(::fstat(fd.get(), &info), 0);
  return info.st_ino;
}

Handover handover(std::size_t listeners, bool whole = true) {
  Handover out;
  for (std::size_t i = 0; i < listeners; ++i) out.listeners.push_back(memory_file());
  out.counters = memory_file();
  if (whole) out.heartbeat = memory_file();
  if (whole) out.access_log = memory_file();
  return out;
}

void send_raw(int fd, std::string_view bytes) {
  ASSERT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

/// A Publisher whose hand-over has been taken, and the proxy's end of its socket.
struct Agent {
  explicit Agent(boost::asio::io_context& context) {
    auto [ours, theirs] = test::socket_pair();
    publisher = std::make_unique<Publisher>(context.get_executor(), std::move(ours));
    proxy = std::move(theirs);
    publisher->on_closed([this](Error error) { closed = error.message(); });
    EXPECT_TRUE(publisher->hand_over({}, handover(1)));
    EXPECT_TRUE(Receiver::receive_handover(proxy.get(), 1s));
  }
  std::unique_ptr<Publisher> publisher;
  Fd proxy;
  std::string closed;
};

TEST(HandoverTest, PassesSettingsAndTheVeryDescriptors) {
  boost::asio::io_context context;
  auto [ours, theirs] = test::socket_pair();
  Publisher publisher(context.get_executor(), std::move(ours));
  const auto sent = handover(6);
  ProxySettings settings;
  settings.workers = 3;
  settings.drain = 4321ms;
  settings.limits = {.header_bytes = 2048,
                     .header_fields = 7,
                     .header_time = 3s,
                     .body_idle = 0s,
                     .connections = 11,
                     .connections_per_workload = 5,
                     .descriptors = 99};
  ASSERT_TRUE(publisher.hand_over(settings, sent));
  publisher.publish(test::snapshot(1, 1));  // must not be eaten by the hand-over's reader
  auto got = Receiver::receive_handover(theirs.get(), 1s);
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->first.workers, 3u);
  EXPECT_EQ(got->first.drain, 4321ms);
  EXPECT_EQ(got->first.limits, settings.limits);
  ASSERT_EQ(got->second.listeners.size(), 6u);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(inode(got->second.listeners[i]), inode(sent.listeners[i]));
  EXPECT_EQ(inode(got->second.counters), inode(sent.counters));
  EXPECT_EQ(inode(got->second.heartbeat), inode(sent.heartbeat));
  EXPECT_EQ(inode(got->second.access_log), inode(sent.access_log));
  EXPECT_NE(::fcntl(got->second.counters.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(HandoverTest, WorksWithoutHeartbeatAndAccessLog) {
  auto got = decode_handover(encode_handover({}, handover(2, false)), [] {
    std::vector<Fd> fds;
    for (int i = 0; i < 3; ++i) fds.push_back(memory_file());
    return fds;
  }());
  ASSERT_TRUE(got);
  EXPECT_FALSE(got->second.heartbeat);
  EXPECT_FALSE(got->second.access_log);
  EXPECT_EQ(got->second.listeners.size(), 2u);
}

TEST(HandoverTest, IsRefusedWithLimitsThatBoundNothingOrEverything) {
  const auto accepted = [](void (*change)(ProxyLimits&)) {
    ProxySettings settings;
    change(settings.limits);
    std::vector<Fd> fds;
    for (int i = 0; i < 2; ++i) fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    return static_cast<bool>(decode_handover(encode_handover(settings, handover(1, false)), std::move(fds)));
  };
  EXPECT_TRUE(accepted([](ProxyLimits&) {}));
  EXPECT_FALSE(accepted([](ProxyLimits& limits) { limits.header_bytes = 100; }));
  EXPECT_FALSE(accepted([](ProxyLimits& limits) { limits.header_bytes = 1 << 20; }));
  EXPECT_FALSE(accepted([](ProxyLimits& limits) { limits.header_fields = 0; }));
  EXPECT_FALSE(accepted([](ProxyLimits& limits) { limits.header_time = 0s; }));
  EXPECT_FALSE(accepted([](ProxyLimits& limits) { limits.connections = 0; }));
}

TEST(HandoverTest, IsRefusedWhenDescriptorsAreMissing) {
  auto [ours, theirs] = test::socket_pair();
  std::string frame;
  ASSERT_TRUE(append_frame(frame, encode_handover({}, handover(2)), 1000));
  const auto file = memory_file();
  ASSERT_TRUE(send_with_descriptors(ours.get(), frame, std::array{file.get()}));
  EXPECT_FALSE(Receiver::receive_handover(theirs.get(), 1s));
}

TEST(HandoverTest, TimesOutAndEndsWithTheAgent) {
  auto [ours, theirs] = test::socket_pair();
  send_raw(ours.get(), std::string_view("\0\0\0\x20half", 8));
  const auto late = Receiver::receive_handover(theirs.get(), 20ms);
  ASSERT_FALSE(late);
  EXPECT_NE(late.error().message().find("in time"), std::string::npos);
  ours.reset();
  EXPECT_FALSE(Receiver::receive_handover(theirs.get(), 1s));
}

TEST(HandoverTest, RefusesRandomBytes) {
  FastRandom random(7);
  for (int round = 0; round < 300; ++round) {
    auto [ours, theirs] = test::socket_pair();
    std::string bytes(4 + random.below(100), '\0');
    for (auto& c : bytes) c = static_cast<char>(random.next());
    if (round % 2 == 0) bytes.replace(0, 4, std::string("\0\0\0", 3) + static_cast<char>(bytes.size() - 4));
    send_raw(ours.get(), bytes);
    ours.reset();
    EXPECT_FALSE(Receiver::receive_handover(theirs.get(), 1s));
  }
}

TEST(Feed, CarriesSnapshotsBothWaysAcknowledged) {
  boost::asio::io_context context;
  Agent agent(context);
  Receiver receiver(context.get_executor(), std::move(agent.proxy));
  SnapshotPtr got;
  bool drained = false;
  receiver.on_snapshot([&](SnapshotPtr s) {
    got = s;
    receiver.acknowledge(s->revision);
  });
  receiver.on_drain([&] { drained = true; });
  receiver.start();
  Revision told;
  agent.publisher->on_acknowledged([&](Revision r) { told = r; });
  EXPECT_EQ(agent.publisher->acknowledged(), Revision(0));

  const auto first = test::snapshot(1, 10);
  agent.publisher->publish(first);
  ASSERT_TRUE(run_until(context, [&] { return told == Revision(1); }));
  test::expect_same(*first, *got);
  auto second = std::make_shared<Snapshot>(*first);
  second->revision = Revision(2);
  second->services.erase(ServiceId(1));
  agent.publisher->publish(second);
  ASSERT_TRUE(run_until(context, [&] { return agent.publisher->acknowledged() == Revision(2); }));
  test::expect_same(*second, *got);
  EXPECT_FALSE(drained);
  agent.publisher->drain();
  ASSERT_TRUE(run_until(context, [&] { return drained; }));
}

TEST(Feed, AcknowledgesTheSnapshotOfAnEmptyStore) {
  boost::asio::io_context context;
  Agent agent(context);
  Receiver receiver(context.get_executor(), std::move(agent.proxy));
  receiver.on_snapshot([&](SnapshotPtr s) { receiver.acknowledge(s->revision); });
  receiver.start();
  bool told = false;
  agent.publisher->on_acknowledged([&](Revision r) { told = r == Revision(0); });
  agent.publisher->publish(std::make_shared<Snapshot>());
  ASSERT_TRUE(run_until(context, [&] { return told || !agent.closed.empty(); }));
  EXPECT_EQ(agent.closed, "");
}

TEST(Feed, CoalescesWhileTheProxyDoesNotRead) {
  boost::asio::io_context context;
  Agent agent(context);
  // Nobody reads: the first snapshot fills the socket, those after it are only kept.
  agent.publisher->publish(test::snapshot(1, 100, 200));
  while (context.poll() > 0) {
  }
  for (std::uint64_t revision = 2; revision <= 500; ++revision) {
    agent.publisher->publish(test::snapshot(revision, 100, revision == 500 ? 3 : 200));
    context.restart();
    context.poll();
  }
  Receiver receiver(context.get_executor(), std::move(agent.proxy));
  std::vector<SnapshotPtr> got;
  receiver.on_snapshot([&](SnapshotPtr s) { got.push_back(std::move(s)); });
  receiver.start();
  ASSERT_TRUE(run_until(context, [&] { return !got.empty() && got.back()->revision == Revision(500); }));
  EXPECT_EQ(got.size(), 2u);
  test::expect_same(*test::snapshot(500, 100, 3), *got.back());
}

TEST(Feed, TellsTheProxyThatTheAgentWentAway) {
  boost::asio::io_context context;
  Agent agent(context);
  Receiver receiver(context.get_executor(), std::move(agent.proxy));
  bool closed = false;
  receiver.on_closed([&] { closed = true; });
  receiver.start();
  agent.publisher.reset();
  EXPECT_TRUE(run_until(context, [&] { return closed; }));
}

TEST(Feed, TellsTheAgentThatTheProxyWentAway) {
  boost::asio::io_context context;
  Agent agent(context);
  agent.proxy.reset();
  EXPECT_TRUE(run_until(context, [&] { return !agent.closed.empty(); }));
}

TEST(Feed, MayBeDestroyedInItsOwnCallback) {
  boost::asio::io_context context;
  Agent agent(context);
  bool closed = false;
  agent.publisher->on_closed([&](const Error&) {
    agent.publisher.reset();
    closed = true;
  });
  agent.proxy.reset();
  EXPECT_TRUE(run_until(context, [&] { return closed; }));
}

TEST(Feed, ClosesOnAnAcknowledgementOfWhatWasNeverSent) {
  boost::asio::io_context context;
  Agent agent(context);
  std::string frame;
  ASSERT_TRUE(append_frame(frame, encode_acknowledgement(Revision(99)), 100));
  send_raw(agent.proxy.get(), frame);
  EXPECT_TRUE(run_until(context, [&] { return !agent.closed.empty(); }));
  EXPECT_EQ(agent.publisher->acknowledged(), Revision(0));
}

TEST(Feed, ClosesOnNonsenseFromTheProxy) {
  FastRandom random(3);
  for (int round = 0; round < 100; ++round) {
    boost::asio::io_context context;
    Agent agent(context);
    std::string bytes(random.below(300), '\0');
    for (auto& c : bytes) c = static_cast<char>(random.next());
    send_raw(agent.proxy.get(), bytes);
    agent.proxy.reset();
    ASSERT_TRUE(run_until(context, [&] { return !agent.closed.empty(); }));
  }
}

TEST(Feed, ClosesOnNonsenseFromTheAgentAndKeepsTheLastSnapshot) {
  FastRandom random(4);
  const auto delta = encode_delta(nullptr, *test::snapshot(1, 2))[0];
  for (int round = 0; round < 100; ++round) {
    boost::asio::io_context context;
    auto [agent, proxy] = test::socket_pair();
    Receiver receiver(context.get_executor(), std::move(proxy));
    SnapshotPtr got;
    bool closed = false;
    receiver.on_snapshot([&](SnapshotPtr s) { got = std::move(s); });
    receiver.on_closed([&] { closed = true; });
    receiver.start();
    std::string bytes;
    ASSERT_TRUE(append_frame(bytes, delta, kMaxFrameToProxy));
    bytes += std::string("\0\0\0\x08", 4);
    for (int i = 0; i < 8; ++i)
      bytes += static_cast<char>(0xf8 | random.below(8));  // no valid protobuf field starts so
    send_raw(agent.get(), bytes);
    ASSERT_TRUE(run_until(context, [&] { return closed; }));
    ASSERT_NE(got, nullptr);
    EXPECT_EQ(got->revision, Revision(1));
  }
}

TEST(Feed, ClosesOnAFrameThatIsCutShort) {
  boost::asio::io_context context;
  auto [agent, proxy] = test::socket_pair();
  Receiver receiver(context.get_executor(), std::move(proxy));
  bool got = false;
  bool closed = false;
  receiver.on_snapshot([&](const SnapshotPtr&) { got = true; });
  receiver.on_closed([&] { closed = true; });
  receiver.start();
  std::string bytes;
  ASSERT_TRUE(append_frame(bytes, encode_delta(nullptr, *test::snapshot(1, 2))[0], kMaxFrameToProxy));
  send_raw(agent.get(), std::string_view(bytes).substr(0, bytes.size() - 1));
  agent.reset();
  ASSERT_TRUE(run_until(context, [&] { return closed; }));
  EXPECT_FALSE(got);
}

TEST(Feed, PublishIsSafeFromAnotherThread) {
  boost::asio::io_context context;
  Agent agent(context);
  Receiver receiver(context.get_executor(), std::move(agent.proxy));
  Revision got;
  receiver.on_snapshot([&](const SnapshotPtr& s) { got = s->revision; });
  receiver.start();
  std::thread other([&] {
    for (std::uint64_t revision = 1; revision <= 100; ++revision) agent.publisher->publish(test::snapshot(revision, 3));
  });
  EXPECT_TRUE(run_until(context, [&] { return got == Revision(100); }));
  other.join();
}

}  // namespace
}  // namespace causeway::feed
