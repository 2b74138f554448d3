#include "kernel/encode.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

namespace causeway::kernel {
namespace {

TEST(Encode, Ipv4IsMapped) {
  const cw_socket_address address = encode(SocketAddress::parse("10.1.2.3:80").value());
  EXPECT_EQ(address.ip.word[0], 0u);
  EXPECT_EQ(address.ip.word[1], 0u);
  EXPECT_EQ(address.ip.word[2], htonl(0xffff));
  EXPECT_EQ(address.ip.word[3], htonl(0x0a010203));
  EXPECT_EQ(address.port, htons(80));
  EXPECT_EQ(address.pad, 0u);
}

TEST(Encode, DecodesToTheSame) {
  for (const char* text : {"10.1.2.3:80", "127.0.0.1:65535", "[::1]:1", "[2001:db8::ffff]:443", "[::]:0"}) {
    EXPECT_EQ(decode(encode(SocketAddress::parse(text).value())).to_string(), text);
  }
}

/// Whether the programs' comparison, (address & mask) == base, finds the address in the prefix.
bool kernel_finds(const IpPrefix& prefix, const IpAddress& ip) {
  const cw_address base = encode(prefix.base), mask = encode_mask(prefix), address = encode(ip);
  for (int i = 0; i < 4; ++i) {
    if ((address.word[i] & mask.word[i]) != base.word[i]) return false;
  }
  return true;
}

TEST(EncodeMask, FindsWhatThePrefixContains) {
  for (const char* prefix_text : {"127.255.0.0/16", "10.0.0.0/8", "0.0.0.0/0", "192.0.2.7/32", "192.0.2.128/25",
                                  "100::/64", "2001:db8::/33", "::1/128", "::/0"}) {
    const IpPrefix prefix = IpPrefix::parse(prefix_text).value();
    for (const char* text :
         {"127.255.0.0", "127.255.255.255", "127.254.255.255", "128.0.0.0", "10.255.0.1", "192.0.2.7", "192.0.2.6",
          "192.0.2.127", "192.0.2.128", "100::", "100::ffff:ffff:ffff:ffff", "100:0:0:1::", "2001:db8:7fff::1",
          "2001:db8:8000::1", "::1", "::2", "::"}) {
      const IpAddress ip = IpAddress::parse(text).value();
      // ::/0 is the one prefix that holds the mapped addresses in the kernel's form; nobody may configure it.
      if (prefix.length == 0 && !prefix.base.is_v4()) continue;
      EXPECT_EQ(kernel_finds(prefix, ip), prefix.contains(ip)) << prefix_text << " " << text;
    }
  }
}

}  // namespace
}  // namespace causeway::kernel
