#include "dns/message.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "dns/zone.h"
#include "packets.h"
#include "sample.h"

namespace causeway::dns {
namespace {

using namespace test;

TEST(Name, TextToWire) {
  EXPECT_EQ(*wire_name("User-Svc"), std::string("\x08user-svc\0", 10));
  EXPECT_EQ(wire_name("a.b."), wire_name("a.b"));
  EXPECT_EQ(*wire_name(""), std::string(1, '\0'));
  EXPECT_TRUE(wire_name(std::string(63, 'x')));
  for (const std::string& bad : {std::string("a..b"), std::string(".a"), std::string("a.."), std::string(64, 'x')})
    EXPECT_FALSE(wire_name(bad)) << bad;
  std::string longest;
  for (int i = 0; i < 3; ++i) longest += std::string(63, 'x') + ".";
  EXPECT_TRUE(wire_name(longest + std::string(61, 'y')));
  EXPECT_FALSE(wire_name(longest + std::string(62, 'y')));
}

TEST(Name, ReverseNames) {
  EXPECT_EQ(reverse_name(ip("127.255.0.1")), *wire_name("1.0.255.127.in-addr.arpa"));
  EXPECT_EQ(reverse_name(ip("100::1a")),
            *wire_name("a.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.ip6.arpa"));
}

TEST(ParseQuery, ReadsTheQuestionAndKeepsItsCase) {
  Query q;
  const Packet packet = make_query("UsEr-svc.Local", 28, 0xbeef);
  ASSERT_EQ(parse_query(packet, q), QueryVerdict::good);
  EXPECT_EQ(q.id, 0xbeef);
  EXPECT_EQ(q.name, *wire_name("user-svc.local"));
  EXPECT_EQ(q.question.substr(1, 8), "UsEr-svc");
  EXPECT_EQ(q.type, 28);
  EXPECT_EQ(q.klass, 1);
}

struct Hostile {
  const char* what;
  Packet packet;
  QueryVerdict verdict;
};

std::vector<Hostile> hostile() {
  const auto header = [](unsigned flags, unsigned questions) {
    Packet p;
    for (const unsigned v : {7u, flags, questions, 0u, 0u, 0u}) append16(p, v);
    return p;
  };
  const auto with = [](Packet p, std::vector<std::uint8_t> tail) {
    p.insert(p.end(), tail.begin(), tail.end());
    return p;
  };
  std::vector<std::uint8_t> long_name;
  for (int i = 0; i < 4; ++i) {
    long_name.push_back(63);
    long_name.insert(long_name.end(), 63, 'a');
  }
  long_name.insert(long_name.end(), {0, 0, 1, 0, 1});
  std::vector<std::uint8_t> one_byte_labels;
  for (int i = 0; i < 128; ++i) one_byte_labels.insert(one_byte_labels.end(), {1, 'a'});
  one_byte_labels.insert(one_byte_labels.end(), {0, 0, 1, 0, 1});
  return {
      {"nothing", {}, QueryVerdict::drop},
      {"11 bytes", Packet(11, 0), QueryVerdict::drop},
      {"an answer", with(header(0x8180, 1), {0, 0, 1, 0, 1}), QueryVerdict::drop},
      {"update", header(0x2800, 1), QueryVerdict::opcode},
      {"no question", header(0x100, 0), QueryVerdict::malformed},
      {"two questions", with(header(0x100, 2), {0, 0, 1, 0, 1, 0, 0, 1, 0, 1}), QueryVerdict::malformed},
      {"65535 questions", with(header(0x100, 0xffff), {0, 0, 1, 0, 1}), QueryVerdict::malformed},
      {"question missing", header(0x100, 1), QueryVerdict::malformed},
      {"pointer to itself", with(header(0x100, 1), {0xc0, 0x0c, 0, 1, 0, 1}), QueryVerdict::malformed},
      {"pointer behind a label", with(header(0x100, 1), {1, 'a', 0xc0, 0x0c, 0, 1, 0, 1}), QueryVerdict::malformed},
      {"reserved label kind", with(header(0x100, 1), {0x41, 'a', 0, 0, 1, 0, 1}), QueryVerdict::malformed},
      {"label runs out", with(header(0x100, 1), {63, 'a', 'b'}), QueryVerdict::malformed},
      {"name without end", with(header(0x100, 1), {1, 'a'}), QueryVerdict::malformed},
      {"name of 257 bytes", with(header(0x100, 1), long_name), QueryVerdict::malformed},
      {"name of 257 bytes in small labels", with(header(0x100, 1), one_byte_labels), QueryVerdict::malformed},
      {"no type", with(header(0x100, 1), {0}), QueryVerdict::malformed},
      {"half a class", with(header(0x100, 1), {0, 0, 1, 0}), QueryVerdict::malformed},
      {"the root", with(header(0x100, 1), {0, 0, 2, 0, 1}), QueryVerdict::good},
  };
}

TEST(ParseQuery, HostilePackets) {
  for (const Hostile& h : hostile()) {
    Query q;
    EXPECT_EQ(parse_query(h.packet, q), h.verdict) << h.what;
  }
}

bool edns_of(const Packet& packet, std::optional<Edns>& edns) {
  Query q;
  EXPECT_EQ(parse_query(packet, q), QueryVerdict::good);
  return parse_edns(packet, q, edns);
}

TEST(ParseEdns, Opt) {
  std::optional<Edns> edns;
  EXPECT_TRUE(edns_of(make_query("a", 1), edns));
  EXPECT_FALSE(edns);
  Packet p = make_query("a", 1);
  add_opt(p, 1232, 0, true);
  EXPECT_TRUE(edns_of(p, edns));
  ASSERT_TRUE(edns);
  EXPECT_EQ(edns->udp_bytes, 1232);
  EXPECT_TRUE(edns->dnssec_ok);
  p = make_query("a", 1);
  add_opt(p, 100, 3);
  edns.reset();
  EXPECT_TRUE(edns_of(p, edns));
  EXPECT_EQ(edns->udp_bytes, 512);  // RFC 6891, 6.2.3: less means 512
  EXPECT_EQ(edns->version, 3);
}

TEST(ParseEdns, Malformed) {
  std::vector<std::pair<const char*, Packet>> cases;
  Packet p = make_query("a", 1);
  p.push_back(0);
  cases.push_back({"a byte too many", p});
  p = make_query("a", 1);
  p[11] = 1;
  cases.push_back({"record missing", p});
  p = make_query("a", 1);
  add_opt(p, 512);
  add_opt(p, 512);
  cases.push_back({"two OPT", p});
  p = make_query("a", 1);
  add_opt(p, 512);
  p.back() = 9;
  cases.push_back({"rdata runs out", p});
  p = make_query("a", 1);
  add_opt(p, 512);
  std::swap(p[7], p[11]);
  cases.push_back({"OPT in the answer section", p});
  p = make_query("a", 1);
  p[10] = p[11] = 0xff;
  cases.push_back({"65535 records", p});
  p = make_query("a", 1);
  ++p[11];
  p.insert(p.end(), {1, 'x', 0, 0, 41, 2, 0, 0, 0, 0, 0, 0, 0});
  cases.push_back({"OPT not at the root", p});
  for (const auto& [what, packet] : cases) {
    std::optional<Edns> edns;
    EXPECT_FALSE(edns_of(packet, edns)) << what;
  }
}

Query query_of(const Packet& packet) {
  Query q;
  EXPECT_EQ(parse_query(packet, q), QueryVerdict::good);
  return q;
}

TEST(EncodeAnswer, DropsAdditionalFirstThenTruncates) {
  const Query q = query_of(make_query("srv.myapp.local", type::srv));
  Answer answer;
  for (int i = 0; i < 8; ++i) {
    const std::string target = *wire_name("i" + std::to_string(i) + ".srv.myapp.local");
    answer.answers.push_back({q.name, type::srv, 1, srv_rdata(1, 1, 80, target)});
    answer.additional.push_back({target, type::a, 1, "abcd"});
  }
  const std::optional<Edns> edns = Edns{};
  const Packet whole = encode_answer(q, edns, answer, 4096);
  EXPECT_EQ(read(whole).additional.size(), 9u);
  EXPECT_EQ(read(whole).additional[3].owner, "i3.srv.myapp.local");
  const Packet lean = encode_answer(q, edns, answer, whole.size() - 1);
  EXPECT_EQ(read(lean).answers.size(), 8u);
  EXPECT_EQ(read(lean).additional.size(), 1u);  // OPT stays
  EXPECT_FALSE(read(lean).truncated());
  const Packet cut = encode_answer(q, edns, answer, lean.size() - 1);
  EXPECT_TRUE(read(cut).truncated());
  EXPECT_EQ(read(cut).answers.size(), 0u);
  EXPECT_EQ(read(cut).additional.size(), 1u);
}

TEST(EncodeAnswer, EchoesTheQuestionsCaseAndFlags) {
  const Query q = query_of(make_query("UsEr-Svc", 1, 9, 1, 0x0110));
  Answer answer;
  answer.answers.push_back({q.name, type::a, 5, "abcd"});
  const ReadAnswer got = read(encode_answer(q, {}, answer, 512));
  EXPECT_EQ(got.name, "UsEr-Svc");
  EXPECT_EQ(got.answers[0].owner, "UsEr-Svc");
  EXPECT_EQ(got.flags, 0x8590u);  // QR AA RD RA CD
  EXPECT_TRUE(got.additional.empty());
}

TEST(EncodeAnswer, ALabelThatLooksLikeASuffixIsNotCompressedIntoAnother) {
  // The question's one label ends in bytes that read like the owner's wire form.
  const Query q = query_of(make_query("xx", 1));
  Query odd = q;
  odd.name = std::string(
                 "\x04\x02"
                 "abc\0",
                 6)
                 .substr(0, 5) +
             '\0';
  odd.question = odd.name + std::string("\0\1\0\1", 4);
  Answer answer;
  answer.answers.push_back({std::string("\x02"
                                        "ab\0",
                                        4),
                            type::a, 5, "abcd"});
  EXPECT_EQ(read(encode_answer(odd, {}, answer, 512)).answers[0].owner, "ab");
}

TEST(AnswersQuery, Matches) {
  const Packet query = make_query("ab.c", 1, 5);
  const Query q = query_of(query);
  Packet good = query;
  good[2] |= 0x80;
  EXPECT_TRUE(answers_query(good, 5, 0, q.question));
  EXPECT_FALSE(answers_query(good, 6, 0, q.question));
  EXPECT_FALSE(answers_query(query, 5, 0, q.question)) << "a query is no answer";
  Packet upper = good;
  upper[13] = 'A';
  EXPECT_TRUE(answers_query(upper, 5, 0, q.question));
  for (const std::size_t at : {std::size_t{13}, good.size() - 1, good.size() - 3}) {
    Packet other = good;
    other[at] ^= 1;
    EXPECT_FALSE(answers_query(other, 5, 0, q.question)) << at;
  }
  Packet bare(good.begin(), good.begin() + 12);
  EXPECT_FALSE(answers_query(bare, 5, 0, q.question));
  bare[5] = 0;
  EXPECT_FALSE(answers_query(bare, 5, 0, q.question)) << "success without a question";
  bare[3] = 5;
  EXPECT_TRUE(answers_query(bare, 5, 0, q.question)) << "REFUSED without a question";
  EXPECT_FALSE(answers_query(Packet(11, 0), 0, 0, q.question));
}

TEST(Mutations, EveryReplyIsWellFormedAndWithinItsLimit) {
  FastRandom random(1);
  const Zone zone(sample());
  std::vector<Packet> seeds;
  for (const char* name :
       {"user-svc", "same", "ten.myapp.local", "srv.myapp.local", "one.srv.myapp.local", "nothing.myapp.local",
        "cname.myapp.local", "myapp.local", "1.0.255.127.in-addr.arpa", "data-127.0.0.1", "example.com"})
    for (const unsigned t : {1u, 2u, 5u, 6u, 12u, 28u, 33u, 255u}) {
      seeds.push_back(make_query(name, t));
      add_opt(seeds.emplace_back(make_query(name, t)), 1232);
    }
  int answered = 0;
  for (int round = 0; round < 60'000; ++round) {
    Packet p = seeds[random.below(seeds.size())];
    for (std::uint64_t n = random.below(4); n > 0; --n) {
      const auto at = static_cast<std::ptrdiff_t>(random.below(p.size()));
      switch (random.below(3)) {
        case 0:
          p[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(random.next());
          break;
        case 1:
          p.erase(p.begin() + at);
          break;
        default:
          p.insert(p.begin() + at, static_cast<std::uint8_t>(random.next()));
      }
      if (p.empty()) p.push_back(0);
    }
    Query q;
    if (parse_query(p, q) != QueryVerdict::good) continue;
    std::optional<Edns> edns;
    if (!parse_edns(p, q, edns)) continue;
    const auto answer = zone.answer(q, kEveryNamespace, random);
    if (!answer) continue;
    const std::size_t limit = edns ? edns->udp_bytes : kPlainUdpBytes;
    const Packet reply = encode_answer(q, edns, *answer, limit);
    ASSERT_LE(reply.size(), limit);
    const ReadAnswer got = read(reply);
    ASSERT_EQ(got.id, q.id);
    ASSERT_TRUE((got.flags & 0x8000) != 0);
    ++answered;
  }
  EXPECT_GT(answered, 10'000);
}

}  // namespace
}  // namespace causeway::dns
