#include "dns/zone.h"

#include <map>
#include <set>

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "packets.h"
#include "sample.h"

namespace causeway::dns {
namespace {

using namespace test;

class ZoneTest : public ::testing::Test {
 protected:
  std::optional<Answer> raw(const char* name, unsigned qtype, NamespaceNumber asker = kEveryNamespace,
                            unsigned klass = 1) {
    Query q;
    EXPECT_EQ(parse_query(make_query(name, qtype, 1, klass), q), QueryVerdict::good);
    return zone.answer(q, asker, random);
  }

  /// "TTL TYPE RDATA" of the answers in order, or the rcode, NODATA, FORWARD.
  std::string ask(const char* name, unsigned qtype, NamespaceNumber asker = kEveryNamespace, unsigned klass = 1) {
    const auto answer = raw(name, qtype, asker, klass);
    if (!answer) return "FORWARD";
    switch (answer->rcode) {
      case Rcode::servfail:
        return "SERVFAIL";
      case Rcode::refused:
        return "REFUSED";
      case Rcode::nxdomain:
        return "NXDOMAIN " + soa(*answer);
      default:
        break;
    }
    if (answer->answers.empty()) return "NODATA " + soa(*answer);
    std::string out;
    for (const Record& r : answer->answers) out += (out.empty() ? "" : " | ") + text(r);
    return out;
  }

  static std::string text(const Record& r) {
    const auto address = [&](int family) {
      char buffer[INET6_ADDRSTRLEN];
      return std::string(::inet_ntop(family, r.rdata.data(), buffer, sizeof buffer));
    };
    std::string out = std::to_string(r.ttl);
    if (r.type == type::a && r.rdata.size() == 4) return out + " A " + address(AF_INET);
    if (r.type == type::aaaa && r.rdata.size() == 16) return out + " AAAA " + address(AF_INET6);
    if (r.type == type::srv) return out + " SRV " + dotted(r.rdata.substr(6));
    if (r.type == type::cname) return out + " CNAME " + dotted(r.rdata);
    if (r.type == type::ptr) return out + " PTR " + dotted(r.rdata);
    if (r.type == type::ns) return out + " NS " + dotted(r.rdata);
    if (r.type == type::soa) return out + " SOA";
    return out + " ?";
  }

  static std::string soa(const Answer& answer) {
    if (answer.authority.size() != 1 || answer.authority[0].type != type::soa) return "without SOA";
    return dotted(answer.authority[0].owner) + " " + std::to_string(answer.authority[0].ttl);
  }

  static std::string dotted(std::string_view wire) {
    std::string out;
    for (; wire.size() > 1; wire = parent(wire))
      out += (out.empty() ? "" : ".") + std::string(wire.substr(1, static_cast<std::size_t>(wire[0])));
    return out;
  }

  Zone zone{sample()};
  FastRandom random{7};
};

TEST_F(ZoneTest, AliasesByAsker) {
  struct Row {
    const char* name;
    unsigned type;
    NamespaceNumber asker;
    const char* expected;
  };
  const Row rows[] = {
      {"user-svc", 1, kEveryNamespace, "5 A 127.255.0.1"},
      {"USER-svc", 1, kEveryNamespace, "5 A 127.255.0.1"},
      {"user-svc", 28, kEveryNamespace, "5 AAAA 100::1"},
      {"user-svc", 255, kEveryNamespace, "5 A 127.255.0.1 | 5 AAAA 100::1"},
      {"user-svc", 1, kOne, "5 A 127.255.0.1"},
      {"user-svc", 1, kTwo, "FORWARD"},
      {"user-svc", 1, kNoNamespace, "FORWARD"},
      {"user-svc", 16, kOne, "NODATA user-svc 5"},
      {"user-svc.example.com", 1, kEveryNamespace, "FORWARD"},  // a search list's suffix
      {"user-svc.myapp.local", 1, kEveryNamespace, "NXDOMAIN myapp.local 15"},
      {"web", 1, kTwo, "5 A 127.255.0.2"},
      {"web", 1, kOne, "FORWARD"},
      {"same", 1, kOne, "5 A 127.255.0.5"},
      {"same", 1, kTwo, "5 A 127.255.0.6"},
      {"same", 1, kEveryNamespace, "SERVFAIL"},
      {"same", 28, kEveryNamespace, "SERVFAIL"},
      {"same", 1, kNoNamespace, "FORWARD"},
      {"web.http.only", 1, kHttp, "5 A 127.255.0.7"},
      {"other.http.only", 1, kHttp, "FORWARD"},
      {"both.myapp.local", 1, kOne, "5 A 127.255.0.3"},  // an alias beats a Cloud Map name
      {"both.myapp.local", 16, kOne, "NODATA myapp.local 5"},
      {"both.myapp.local", 1, kTwo, "10 A 10.6.0.1"},
      {"both.myapp.local", 1, kNoNamespace, "10 A 10.6.0.1"},
      {"a.deep.myapp.local", 1, kOne, "5 A 127.255.0.4"},
      {"deep.myapp.local", 1, kOne, "NODATA myapp.local 15"},
  };
  for (const Row& row : rows)
    EXPECT_EQ(ask(row.name, row.type, row.asker), row.expected)
        << row.name << " " << row.type << " " << row.asker.value;
}

TEST_F(ZoneTest, NamesThatAreNotOursOrDoNotExist) {
  EXPECT_EQ(ask("example.com", 1), "FORWARD");
  EXPECT_EQ(ask("local", 1), "FORWARD");
  EXPECT_EQ(ask("notmyapp.local", 1), "FORWARD");
  EXPECT_EQ(ask("xmyapp.local", 1), "FORWARD");
  EXPECT_EQ(ask("nothing.myapp.local", 1), "NXDOMAIN myapp.local 15");
  EXPECT_EQ(ask("a.b.nothing.two.local", 28, kOne), "NXDOMAIN two.local 20");
  EXPECT_EQ(ask("empty.myapp.local", 1), "NODATA myapp.local 15");
  EXPECT_EQ(ask("ten.myapp.local", 28), "NODATA myapp.local 15");
  EXPECT_EQ(ask("ten.myapp.local", 16), "NODATA myapp.local 15");
  EXPECT_EQ(ask("api-only.myapp.local", 1), "NXDOMAIN myapp.local 15");
  EXPECT_EQ(ask("service.two.local", 1), "NODATA two.local 20");
  EXPECT_EQ(ask("i-0.ten.myapp.local", 1), "NXDOMAIN myapp.local 15");  // instances have names with SRV alone
}

TEST_F(ZoneTest, TheApex) {
  EXPECT_EQ(ask("myapp.local", 6), "15 SOA");
  EXPECT_EQ(ask("myapp.local", 2), "15 NS myapp.local");
  EXPECT_EQ(ask("myapp.local", 1), "NODATA myapp.local 15");
  const auto answer = raw("myapp.local", 6);
  const std::string serial("\0\0\0\x2a", 4);
  EXPECT_NE(answer->answers[0].rdata.find(serial), std::string::npos);
}

TEST_F(ZoneTest, TransfersAndOtherClassesOfOurNamesAreRefused) {
  EXPECT_EQ(ask("myapp.local", type::axfr), "REFUSED");
  EXPECT_EQ(ask("user-svc", type::ixfr), "REFUSED");
  EXPECT_EQ(ask("user-svc", 1, kOne, 3), "REFUSED");
  EXPECT_EQ(ask("example.com", type::axfr), "FORWARD");
  EXPECT_EQ(ask("version.bind", 16, kOne, 3), "FORWARD");
}

TEST_F(ZoneTest, MultivalueGivesEightHealthyInRandomOrder) {
  std::set<std::string> orders;
  std::map<std::string, int> seen;
  for (int i = 0; i < 200; ++i) {
    const auto answer = raw("ten.myapp.local", 1);
    ASSERT_EQ(answer->answers.size(), 8u);
    std::set<std::string> distinct;
    std::string order;
    for (const Record& r : answer->answers) {
      distinct.insert(text(r));
      ++seen[text(r)];
      order += text(r) + ",";
    }
    EXPECT_EQ(distinct.size(), 8u);
    orders.insert(order);
  }
  EXPECT_EQ(seen.size(), 10u);
  EXPECT_GT(orders.size(), 150u);
  for (const auto& [address, times] : seen) {
    EXPECT_TRUE(address.starts_with("17 A 10.0.0.")) << address;
    EXPECT_NEAR(times, 160, 45) << address;
  }
}

TEST_F(ZoneTest, HealthChoosesUnlessNoneIsHealthy) {
  EXPECT_EQ(ask("mixed.myapp.local", 1), "10 A 10.1.0.1");
  EXPECT_EQ(raw("sick.myapp.local", 1)->answers.size(), 2u);
}

TEST_F(ZoneTest, WeightedGivesOneOfTheHealthy) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) seen.insert(ask("weighted.myapp.local", 1));
  EXPECT_EQ(seen, (std::set<std::string>{"10 A 10.3.0.1", "10 A 10.3.0.2"}));
  EXPECT_EQ(ask("weighted.myapp.local", 28), "11 AAAA fd00::1");
}

TEST_F(ZoneTest, SrvWithItsTargetsAddresses) {
  const auto answer = raw("srv.myapp.local", 33);
  ASSERT_EQ(answer->answers.size(), 2u);
  std::set<std::string> records, extra;
  for (const Record& r : answer->answers) {
    records.insert(text(r));
    EXPECT_EQ(r.rdata.substr(0, 4), std::string("\0\1\0\1", 4));
  }
  for (const Record& r : answer->additional) extra.insert(dotted(r.owner) + " " + text(r));
  EXPECT_EQ(records, (std::set<std::string>{"30 SRV one.srv.myapp.local", "30 SRV two.srv.myapp.local"}));
  EXPECT_EQ(extra, (std::set<std::string>{"one.srv.myapp.local 30 A 10.4.0.1", "one.srv.myapp.local 30 AAAA fd00::4",
                                          "two.srv.myapp.local 30 A 10.4.0.2"}));
  EXPECT_EQ(ask("one.srv.myapp.local", 1), "30 A 10.4.0.1");
  EXPECT_EQ(ask("one.srv.myapp.local", 28), "30 AAAA fd00::4");
  EXPECT_EQ(ask("two.srv.myapp.local", 28), "NODATA myapp.local 15");
  EXPECT_EQ(ask("three.srv.myapp.local", 1), "NXDOMAIN myapp.local 15");
  EXPECT_EQ(ask("srv.myapp.local", 1), "NODATA myapp.local 15");
}

TEST_F(ZoneTest, CnameIsAnsweredForEveryTypeAndFollowedWithinOurNames) {
  EXPECT_EQ(ask("cname.myapp.local", 1), "60 CNAME www.example.com");
  EXPECT_EQ(ask("cname.myapp.local", 5), "60 CNAME www.example.com");
  EXPECT_EQ(ask("inner.myapp.local", 1), "60 CNAME mixed.myapp.local | 10 A 10.1.0.1");
  EXPECT_EQ(ask("inner.myapp.local", 5), "60 CNAME mixed.myapp.local");
  EXPECT_LE(raw("loop.myapp.local", 1)->answers.size(), 9u);
}

TEST_F(ZoneTest, TheDataHostsOfTheAwsClient) {
  for (const auto asker : {kEveryNamespace, kOne, kNoNamespace}) {
    EXPECT_EQ(ask("data-127.0.0.1", 1, asker), "60 A 127.0.0.1");
    EXPECT_EQ(ask("data-localhost", 1, asker), "60 A 127.0.0.1");
    EXPECT_EQ(ask("data-127.0.0.1", 28, asker), "NODATA data-127.0.0.1 60");
  }
  EXPECT_EQ(ask("data-127.0.0.2", 1), "FORWARD");
}

TEST_F(ZoneTest, AddressesOfAliasesHaveNames) {
  EXPECT_EQ(ask("1.0.255.127.in-addr.arpa", 12), "5 PTR user-svc");
  EXPECT_EQ(ask("1.0.255.127.in-addr.arpa", 12, kTwo), "FORWARD");
  EXPECT_EQ(ask("99.0.255.127.in-addr.arpa", 12), "FORWARD");
}

TEST(Zone, NamesThatCannotBeWrittenAreLeftOut) {
  auto s = std::make_shared<Snapshot>(*sample());
  s->alias_names.change([](auto& all) {
    all.push_back({std::string(64, 'x'), kOne, ip("127.255.0.9"), ip("100::9")});
  });
  auto srv = service(*s, "odd.myapp.local", RoutingPolicy::multivalue, {{RecordType::srv, 30}});
  srv->instances = {instance(std::string(64, 'i'), "10.9.0.1"), instance("fine", "10.9.0.2")};
  const Zone zone(s);
  FastRandom random(1);
  Query q;
  ASSERT_EQ(parse_query(make_query("odd.myapp.local", 33), q), QueryVerdict::good);
  EXPECT_EQ(zone.answer(q, kEveryNamespace, random)->answers.size(), 1u);
}

}  // namespace
}  // namespace causeway::dns
