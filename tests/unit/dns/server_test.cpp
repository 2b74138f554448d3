#include "dns/server.h"

#include <chrono>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "packets.h"
#include "sample.h"
#include "stub_resolver.h"

namespace causeway::dns {
namespace {

using namespace test;
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class FixedAskers final : public AskerLookup {
 public:
  Asker udp(const SocketAddress& peer) override { return tcp(-1, peer); }
  Asker tcp(int, const SocketAddress&) override {
    const std::lock_guard lock(mutex_);
    return asker_;
  }
  void set(Asker asker) {
    const std::lock_guard lock(mutex_);
    asker_ = asker;
  }

 private:
  std::mutex mutex_;
  Asker asker_;
};

/// A server on a thread of its own, publishing the sample.
class Running {
 public:
  explicit Running(ServerOptions options, SnapshotPtr snapshot = sample()) {
    if (options.listen.empty()) options.listen = {{ip_loopback(), 0}};
    server.emplace(context.get_executor(), askers, std::move(options));
    const auto started = server->start();
    if (!started) ADD_FAILURE() << started.error().message();
    if (snapshot) server->publish(std::move(snapshot));
    thread = std::thread([this] { context.run(); });
  }
  ~Running() {
    boost::asio::post(context, [this] { server->stop(); });
    guard.reset();
    thread.join();
  }
  SocketAddress address(std::size_t i = 0) const { return server->addresses().at(i); }

  boost::asio::io_context context{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard =
      boost::asio::make_work_guard(context);
  FixedAskers askers;
  std::optional<Server> server;
  std::thread thread;
};

/// dig's output.
std::string dig(const SocketAddress& server, const std::string& arguments) {
  const std::string command = "dig @" + server.ip.to_string() + " -p " + std::to_string(server.port) +
                              " +tries=1 +time=8 " + arguments + " 2>&1";
  std::string out;
  FILE* pipe = ::popen(command.c_str(), "r");
  char buffer[4096];
  for (std::size_t got = 0; (got = ::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, got);
  ::pclose(pipe);
  return out;
}

/// A client's connected socket; waits at most 8 s for an answer.
class Client {
 public:
  Client(const SocketAddress& server, int kind) : tcp_(kind == SOCK_STREAM) {
    sockaddr_storage storage{};
    const socklen_t length = server.to(storage);
    fd_ = Fd(::socket(storage.ss_family, kind | SOCK_CLOEXEC, 0));
    const timeval limit{8, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&storage), length), 0);
  }
  void send(const Packet& packet) {
    Packet framed;
    if (tcp_) append16(framed, static_cast<unsigned>(packet.size()));
    framed.insert(framed.end(), packet.begin(), packet.end());
    EXPECT_EQ(::send(fd_.get(), framed.data(), framed.size(), MSG_NOSIGNAL), static_cast<ssize_t>(framed.size()));
  }
  Packet receive() {
    Packet packet(65535);
    ssize_t got = 0;
    if (tcp_) {
      std::uint8_t size[2];
      if (::recv(fd_.get(), size, 2, MSG_WAITALL) != 2) return {};
      got = ::recv(fd_.get(), packet.data(), static_cast<std::size_t>(size[0] << 8 | size[1]), MSG_WAITALL);
    } else {
      got = ::recv(fd_.get(), packet.data(), packet.size(), 0);
    }
    packet.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return packet;
  }
  Packet ask(const Packet& packet) {
    send(packet);
    return receive();
  }
  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
  bool tcp_;
};

Asker asking(const SocketAddress& resolver, NamespaceNumber number = kEveryNamespace) {
  return {number, kHostClient, resolver};
}

StubResolver::Script echo_a(const char* address) {
  return [=](const Packet& query, bool) { return std::vector<Packet>{a_answer(query, ip(address))}; };
}

TEST(Server, DigsWaysToAskForAnAlias) {
  Running running({});
  for (const char* options : {"", "+tcp", "+noedns", "+bufsize=4096 +dnssec", "+ednsflags=0x8000"}) {
    const std::string out = dig(running.address(), std::string("UsEr-svc ") + options);
    EXPECT_THAT(out, HasSubstr("status: NOERROR")) << options;
    EXPECT_THAT(out, HasSubstr("UsEr-svc.\t\t5\tIN\tA\t127.255.0.1")) << options;
    EXPECT_EQ(out.find("EDNS: version: 0") != std::string::npos, std::string(options) != "+noedns") << out;
    EXPECT_THAT(out, Not(HasSubstr("WARNING"))) << options;
  }
  EXPECT_THAT(dig(running.address(), "user-svc AAAA +short"), HasSubstr("100::1"));
  EXPECT_THAT(dig(running.address(), "-x 127.255.0.1 +short"), HasSubstr("user-svc."));
  EXPECT_THAT(dig(running.address(), "user-svc +edns=1 +noednsneg"), HasSubstr("BADVERS"));
  EXPECT_THAT(dig(running.address(), "myapp.local AXFR"), HasSubstr("Transfer failed"));
}

TEST(Server, DigsCloudMapNames) {
  Running running({});
  EXPECT_THAT(dig(running.address(), "srv.myapp.local SRV"), HasSubstr("1 1 8125 one.srv.myapp.local."));
  const std::string missing = dig(running.address(), "nothing.myapp.local");
  EXPECT_THAT(missing, HasSubstr("status: NXDOMAIN"));
  EXPECT_THAT(missing, HasSubstr("myapp.local.\t\t15\tIN\tSOA\tmyapp.local. nobody.invalid. 42 7200 900 1209600 15"));
  const auto& counters = running.server->counters();
  EXPECT_EQ(counters.answered.load(), 1u);
  EXPECT_EQ(counters.nxdomain.load(), 1u);
  EXPECT_EQ(counters.forwarded.load(), 0u);
}

TEST(Server, AnswersTooLargeForUdpAreTruncatedAndCompleteOverTcp) {
  auto snapshot = std::make_shared<Snapshot>(*sample());
  auto wide = service(*snapshot, "wide.myapp.local", RoutingPolicy::multivalue, {{RecordType::srv, 1}});
  for (char c = 'a'; c < 'i'; ++c) wide->instances.push_back(instance(std::string(60, c), "10.0.0.1"));
  Running running({}, snapshot);
  const Packet query = make_query("wide.myapp.local", 33);
  const ReadAnswer cut = read(Client(running.address(), SOCK_DGRAM).ask(query));
  EXPECT_TRUE(cut.truncated());
  EXPECT_TRUE(cut.answers.empty());
  Packet large = query;
  add_opt(large, 4096);
  EXPECT_EQ(read(Client(running.address(), SOCK_DGRAM).ask(large)).answers.size(), 8u);
  EXPECT_EQ(read(Client(running.address(), SOCK_STREAM).ask(query)).answers.size(), 8u);
  // dig asks again over TCP by itself
  EXPECT_THAT(dig(running.address(), "wide.myapp.local SRV +noedns"), HasSubstr("Truncated, retrying in TCP mode"));
}

TEST(Server, AskersSeeTheirOwnNamespace) {
  StubResolver resolver(echo_a("192.0.2.1"));
  Running running({});
  const auto short_answer = [&](NamespaceNumber number, const char* name) {
    running.askers.set(asking(resolver.address(), number));
    return dig(running.address(), std::string(name) + " +short");
  };
  EXPECT_EQ(short_answer(kOne, "user-svc"), "127.255.0.1\n");
  EXPECT_EQ(short_answer(kTwo, "user-svc"), "192.0.2.1\n");  // not its own: the resolver's
  EXPECT_EQ(short_answer(kNoNamespace, "user-svc"), "192.0.2.1\n");
  EXPECT_EQ(short_answer(kTwo, "same"), "127.255.0.6\n");
  running.askers.set({});
  EXPECT_THAT(dig(running.address(), "same"), HasSubstr("status: SERVFAIL"));
}

TEST(Server, ForwardedAnswersAreRelayedByteForByte) {
  // Bytes that are no DNS behind a matching header and question: nothing in them is looked at.
  const auto odd = [](const Packet& query, bool tcp) {
    Packet reply(query.begin(), query.begin() + 29);
    reply[2] |= 0x80;
    reply[3] = 0x8f;
    for (int i = 0; i < (tcp ? 20'000 : 900); ++i) reply.push_back(static_cast<std::uint8_t>(i * 7));
    return std::vector<Packet>{reply};
  };
  StubResolver resolver(odd);
  Running running({});
  running.askers.set(asking(resolver.address()));
  Packet query = make_query("eXample.com", 99, 0xabcd);
  add_opt(query, 1400, 0, true);
  query.insert(query.end(), {1, 2, 3});  // strange, but not our business
  for (const int kind : {SOCK_DGRAM, SOCK_STREAM}) {
    const Packet reply = Client(running.address(), kind).ask(query);
    Packet expected = odd(query, kind == SOCK_STREAM).front();
    expected[0] = 0xab;
    expected[1] = 0xcd;
    EXPECT_EQ(reply, expected);
    const auto asked = resolver.asked().back();
    EXPECT_EQ(asked.tcp, kind == SOCK_STREAM);
    EXPECT_EQ(Packet(asked.packet.begin() + 2, asked.packet.end()), Packet(query.begin() + 2, query.end()));
  }
}

TEST(Server, IdsAndPortsOfForwardedQueriesDiffer) {
  StubResolver resolver(echo_a("192.0.2.1"));
  Running running({});
  running.askers.set(asking(resolver.address()));
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(read(Client(running.address(), SOCK_DGRAM).ask(make_query("example.com", 1, 7))).id, 7u);
  std::set<unsigned> ids, ports;
  for (const auto& asked : resolver.asked()) {
    ids.insert(message_id(asked.packet));
    ports.insert(asked.source_port);
  }
  EXPECT_GT(ids.size(), 15u);
  EXPECT_GT(ports.size(), 15u);
}

TEST(Server, ForgedAnswersAreIgnored) {
  StubResolver resolver([](const Packet& query, bool tcp) {
    Packet wrong_id = a_answer(query, ip("6.6.6.1"));
    wrong_id[1] ^= 1;
    Packet wrong_name = a_answer(query, ip("6.6.6.2"));
    wrong_name[13] = 'z';
    Packet a_query = a_answer(query, ip("6.6.6.3"));
    a_query[2] &= 0x7f;
    return std::vector<Packet>{wrong_id, wrong_name, a_query, Packet(tcp ? 5 : 0, 0), a_answer(query, ip("192.0.2.9"))};
  });
  Running running({});
  running.askers.set(asking(resolver.address()));
  EXPECT_EQ(dig(running.address(), "example.com +short"), "192.0.2.9\n");
  EXPECT_EQ(dig(running.address(), "example.com +short +tcp"), "192.0.2.9\n");
}

TEST(Server, ASilentResolverEndsInServfail) {
  StubResolver resolver([](const Packet&, bool) { return std::vector<Packet>{}; });
  ServerOptions options;
  options.forward_timeout = 150ms;
  Running running(options);
  running.askers.set(asking(resolver.address()));
  EXPECT_THAT(dig(running.address(), "example.com"), HasSubstr("status: SERVFAIL"));
  EXPECT_EQ(running.server->counters().forward_timeouts.load(), 1u);
  EXPECT_THAT(dig(running.address(), "example.com +tcp"), HasSubstr("status: SERVFAIL"));
  EXPECT_EQ(running.server->counters().servfail.load(), 2u);
}

TEST(Server, APortThatRefusesEndsInServfailAtOnce) {
  std::optional<StubResolver> gone(std::in_place, echo_a("192.0.2.1"));
  const SocketAddress address = gone->address();
  gone.reset();
  ServerOptions options;
  options.forward_timeout = 60s;  // dig gives up long before
  Running running(options);
  running.askers.set(asking(address));
  EXPECT_THAT(dig(running.address(), "example.com"), HasSubstr("status: SERVFAIL"));
  EXPECT_THAT(dig(running.address(), "example.com +tcp"), HasSubstr("status: SERVFAIL"));
}

TEST(Server, AskedDirectlyItTriesTheFallbackResolversInTurn) {
  std::optional<StubResolver> gone(std::in_place, echo_a("192.0.2.1"));
  StubResolver silent([](const Packet&, bool) { return std::vector<Packet>{}; });
  StubResolver good(echo_a("192.0.2.3"));
  ServerOptions options;
  options.forward_timeout = 3s;
  options.fallback_resolvers = {gone->address(), silent.address(), good.address()};
  gone.reset();
  Running running(options);
  EXPECT_EQ(dig(running.address(), "example.com +short"), "192.0.2.3\n");
  EXPECT_EQ(dig(running.address(), "example.com +short +tcp"), "192.0.2.3\n");
  EXPECT_EQ(silent.asked().size(), 2u);
}

TEST(Server, NeverAsksItself) {
  StubResolver good(echo_a("192.0.2.3"));
  Running lonely({});
  lonely.askers.set(asking(lonely.address()));
  EXPECT_THAT(dig(lonely.address(), "example.com"), HasSubstr("status: SERVFAIL"));
  EXPECT_EQ(lonely.server->counters().forwarded.load(), 0u);
  ServerOptions options;
  options.listen = {{IpAddress::v4(0), 0}};  // on every address
  options.fallback_resolvers = {good.address()};
  Running wide(options);
  wide.askers.set(asking({ip("127.0.0.7"), wide.address().port}));
  EXPECT_EQ(dig({ip_loopback(), wide.address().port}, "example.com +short"), "192.0.2.3\n");
}

TEST(Server, RepliesComeFromTheAddressAsked) {
  ServerOptions options;
  options.listen = {{IpAddress::v4(0), 0}, {IpAddress{}, 0}};
  Running running(options);
  // A connected socket takes answers from nobody else.
  for (const char* text : {"127.0.0.1", "127.0.0.53", "127.9.9.9"})
    EXPECT_EQ(
        read(Client({ip(text), running.address().port}, SOCK_DGRAM).ask(make_query("user-svc", 1))).answers.size(), 1u)
        << text;
  EXPECT_EQ(
      read(Client({ip("::1"), running.address(1).port}, SOCK_DGRAM).ask(make_query("user-svc", 1))).answers.size(), 1u);
  EXPECT_EQ(
      read(Client({ip("::1"), running.address(1).port}, SOCK_STREAM).ask(make_query("user-svc", 1))).answers.size(),
      1u);
}

TEST(Server, SeveralQueriesOnAConnectionAreAnsweredInOrder) {
  StubResolver resolver(echo_a("192.0.2.1"));
  Running running({});
  running.askers.set(asking(resolver.address()));
  Client client(running.address(), SOCK_STREAM);
  const char* names[] = {"user-svc", "example.com", "ten.myapp.local", "example.org"};
  for (unsigned id = 0; id < 4; ++id) client.send(make_query(names[id], 1, id));
  ::shutdown(client.fd(), SHUT_WR);  // a client may be done asking before it has its answers
  for (unsigned id = 0; id < 4; ++id) {
    const ReadAnswer answer = read(client.receive());
    EXPECT_EQ(answer.id, id);
    EXPECT_EQ(answer.name, names[id]);
  }
  EXPECT_TRUE(client.receive().empty());
}

TEST(Server, ZoneTransfersOfOthersAreRelayedWhole) {
  StubResolver resolver([](const Packet& query, bool) {
    std::vector<Packet> messages;
    for (const char* address : {"192.0.2.1", "192.0.2.2", "192.0.2.3"})
      messages.push_back(a_answer(query, ip(address)));
    return messages;
  });
  Running running({});
  running.askers.set(asking(resolver.address()));
  Client client(running.address(), SOCK_STREAM);
  client.send(make_query("example.com", type::axfr, 77));
  for (const char* last : {"\x01", "\x02", "\x03"}) {
    const ReadAnswer answer = read(client.receive());
    EXPECT_EQ(answer.id, 77u);
    EXPECT_EQ(answer.answers[0].rdata.substr(3), last);
  }
}

TEST(Server, EachQueryIsCountedOnce) {
  StubResolver resolver(echo_a("192.0.2.1"));
  std::optional<StubResolver> gone(std::in_place, echo_a("192.0.2.1"));
  const SocketAddress refusing = gone->address();
  gone.reset();
  Running running({});
  for (const int kind : {SOCK_DGRAM, SOCK_STREAM}) {
    running.askers.set(asking(resolver.address()));
    for (const char* name : {"user-svc", "nothing.myapp.local", "empty.myapp.local", "example.com"})
      Client(running.address(), kind).ask(make_query(name, 1));
    Client(running.address(), kind).ask(make_query("user-svc", 1, 1, 3));
    running.askers.set(asking(refusing));
    Client(running.address(), kind).ask(make_query("example.com", 1));
  }
  EXPECT_EQ(read(Client(running.address(), SOCK_STREAM).ask(make_query("example.com", type::axfr))).rcode(), 2u);
  const Counters& c = running.server->counters();
  EXPECT_EQ(c.answered.load(), 2u);
  EXPECT_EQ(c.nxdomain.load(), 2u);
  EXPECT_EQ(c.nodata.load(), 2u);
  EXPECT_EQ(c.forwarded.load(), 2u);
  EXPECT_EQ(c.refused.load(), 2u);
  EXPECT_EQ(c.servfail.load(), 3u);
  EXPECT_EQ(c.malformed.load(), 0u);
  EXPECT_EQ(c.forward_timeouts.load(), 0u);
}

TEST(Server, UpdatesGoToTheServerTheyWereSentTo) {
  StubResolver resolver([](const Packet& query, bool) {
    Packet reply(query.begin(), query.begin() + 12);
    reply[2] |= 0x80;
    reply[5] = 0;
    return std::vector<Packet>{reply};
  });
  Running running({});
  const Packet update = make_query("example.com", 6, 9, 1, 0x2800);
  EXPECT_EQ(read(Client(running.address(), SOCK_DGRAM).ask(update)).rcode(), 4u);  // asked directly: NOTIMP
  running.askers.set(asking(resolver.address()));
  EXPECT_EQ(read(Client(running.address(), SOCK_DGRAM).ask(update)).rcode(), 0u);
  EXPECT_EQ(resolver.asked().size(), 1u);
}

TEST(Server, BrokenPacketsAreRefusedAndLeaveItAlive) {
  Running running({});
  Client udp(running.address(), SOCK_DGRAM);
  udp.send({0});
  udp.send(Packet(5000, 'x'));
  Packet answer_itself = make_query("user-svc", 1);
  answer_itself[2] |= 0x80;
  udp.send(answer_itself);
  Packet compressed = make_query("a", 1, 3);
  compressed[12] = 0xc0;
  const ReadAnswer refused = read(udp.ask(compressed));  // the ones before got no answer
  EXPECT_EQ(refused.id, 3u);
  EXPECT_EQ(refused.rcode(), 1u);
  {
    Client cut(running.address(), SOCK_STREAM);
    const std::uint8_t some[] = {0xff, 0xff, 1, 2, 3};
    ASSERT_EQ(::send(cut.fd(), some, sizeof some, 0), 5);
  }
  Client empty(running.address(), SOCK_STREAM);
  empty.send({});
  EXPECT_TRUE(empty.receive().empty());
  EXPECT_EQ(read(udp.ask(make_query("user-svc", 1))).answers.size(), 1u);
  EXPECT_EQ(running.server->counters().malformed.load(), 4u);
}

TEST(Server, ConnectionsAreBounded) {
  Running running({});
  std::vector<Client> held;
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    Client& client = held.emplace_back(running.address(), SOCK_STREAM);
    const Packet query = make_query("user-svc", 1);
    Packet framed;
    append16(framed, static_cast<unsigned>(query.size()));
    framed.insert(framed.end(), query.begin(), query.end());
    (void)!::send(client.fd(), framed.data(), framed.size(), MSG_NOSIGNAL);
    if (client.receive().empty()) ++refused;
  }
  EXPECT_EQ(refused, 300 - 256);
  EXPECT_EQ(read(Client(running.address(), SOCK_DGRAM).ask(make_query("user-svc", 1))).answers.size(), 1u);
  held.clear();
}

TEST(Server, PublishTakesEffectAtOnce) {
  Running running({}, nullptr);
  EXPECT_EQ(running.server->acknowledged(), Revision(0));
  EXPECT_THAT(dig(running.address(), "user-svc"), HasSubstr("status: SERVFAIL"));  // not ours yet, and nobody to ask
  running.server->publish(sample());
  EXPECT_EQ(running.server->acknowledged(), Revision(42));
  EXPECT_EQ(dig(running.address(), "user-svc +short"), "127.255.0.1\n");
  auto next = std::make_shared<Snapshot>(*sample());
  next->revision = Revision(43);
  next->alias_names = {};
  running.server->publish(next);
  EXPECT_EQ(running.server->acknowledged(), Revision(43));
  EXPECT_THAT(dig(running.address(), "user-svc"), HasSubstr("status: SERVFAIL"));
}

TEST(Server, AnAddressInUseIsNamed) {
  Running running({});
  boost::asio::io_context context;
  FixedAskers askers;
  ServerOptions options;
  options.listen = {running.address()};
  Server second(context.get_executor(), askers, options);
  const auto started = second.start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message(), HasSubstr(running.address().to_string()));
  EXPECT_THAT(started.error().message(), HasSubstr("listen.dns"));
}

TEST(Server, StopsWithQueriesOutstanding) {
  StubResolver resolver([](const Packet&, bool) { return std::vector<Packet>{}; });
  ServerOptions options;
  options.forward_timeout = 60s;
  const auto start = std::chrono::steady_clock::now();
  {
    Running running(options);
    running.askers.set(asking(resolver.address()));
    Client(running.address(), SOCK_DGRAM).send(make_query("example.com", 1));
    Client tcp(running.address(), SOCK_STREAM);
    tcp.send(make_query("example.com", 1));
    while (resolver.asked().empty()) std::this_thread::yield();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 30s);
}

}  // namespace
}  // namespace causeway::dns
