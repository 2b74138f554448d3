#include "base/ip.h"

#include <gtest/gtest.h>

namespace causeway {
namespace {

TEST(IpAddress, IPv4AndItsMappedFormAreOneAddress) {
  EXPECT_EQ(IpAddress::parse("127.255.0.1"), IpAddress::parse("::ffff:127.255.0.1"));
  EXPECT_EQ(IpAddress::parse("::ffff:127.255.0.1")->to_string(), "127.255.0.1");
  EXPECT_EQ(IpAddress::parse("127.255.0.1")->to_v4(), 0x7fff0001u);
}

TEST(IpAddress, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "127.0.0", "127.0.0.256", "::1%lo", "[::1]", "localhost", " 127.0.0.1", "0x7f.0.0.1", "1::2::3"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(IpAddress, KnowsLoopback) {
  EXPECT_TRUE(IpAddress::parse("127.254.3.4")->is_loopback());
  EXPECT_TRUE(IpAddress::parse("::1")->is_loopback());
  EXPECT_FALSE(IpAddress::parse("100::1")->is_loopback());
  EXPECT_FALSE(IpAddress::parse("10.0.0.1")->is_loopback());
}

TEST(SocketAddress, ParsesAndPrints) {
  for (const char* text : {"127.0.0.1:80", "[::1]:65535", "[100::5]:0"}) {
    const auto address = SocketAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
    sockaddr_storage storage;
    address->to(storage);
    EXPECT_EQ(SocketAddress::from(storage), address);
  }
  for (const char* text : {"127.0.0.1", "::1:80", "127.0.0.1:65536", "127.0.0.1:-1", "[127.0.0.1]:80", "127.0.0.1:", "127.0.0.1:8 "}) {
    EXPECT_FALSE(SocketAddress::parse(text)) << text;
  }
}

TEST(IpPrefix, ContainsAndCounts) {
  const auto aliases = IpPrefix::parse("127.255.0.0/16");
  ASSERT_TRUE(aliases);
  EXPECT_TRUE(aliases->contains(*IpAddress::parse("127.255.255.255")));
  EXPECT_FALSE(aliases->contains(*IpAddress::parse("127.254.255.255")));
  EXPECT_EQ(aliases->at(258).to_string(), "127.255.1.2");
  EXPECT_EQ(IpPrefix::parse("100::/64")->at(258).to_string(), "100::102");
  EXPECT_TRUE(IpPrefix::parse("10.128.0.0/9")->contains(*IpAddress::parse("10.255.0.1")));
  EXPECT_FALSE(IpPrefix::parse("10.128.0.0/9")->contains(*IpAddress::parse("10.127.0.1")));
  for (const char* text : {"127.255.0.1/16", "127.0.0.0/33", "100::/129", "127.0.0.0", "/8", "127.0.0.0/"}) {
    EXPECT_FALSE(IpPrefix::parse(text)) << text;
  }
}

}  // namespace
}  // namespace causeway
