#pragma once
// The parts of a DNS message that the agent reads and writes (RFC 1035, 4; RFC 6891): a query's header, question and
// OPT record, and answers of its own. Resolvers' answers are matched and relayed, never parsed.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dns/name.h"

namespace causeway::dns {

inline constexpr std::size_t kHeaderBytes = 12;
inline constexpr std::size_t kPlainUdpBytes = 512;  ///< what a query without OPT can take (RFC 1035, 4.2.1)
inline constexpr std::size_t kMaxUdpBytes = 4096;   ///< ours; askers are on this host, where nothing fragments
inline constexpr std::size_t kMaxTcpBytes = 65535;

namespace type {
inline constexpr std::uint16_t a = 1, ns = 2, cname = 5, soa = 6, ptr = 12, aaaa = 28, srv = 33, opt = 41, ixfr = 251,
                               axfr = 252, any = 255;
}
inline constexpr std::uint16_t kClassIn = 1;
inline constexpr std::uint16_t kClassAny = 255;

enum class Rcode : std::uint16_t {
  ok = 0,
  formerr = 1,
  servfail = 2,
  nxdomain = 3,
  notimp = 4,
  refused = 5,
  badvers = 16
};

/// A query's header and its one question.
struct Query {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
  std::string question;  ///< name, type and class as sent
  std::string name;      ///< the question's name, lower case
  std::uint16_t type = 0;
  std::uint16_t klass = 0;

  unsigned opcode() const { return flags >> 11 & 15; }
};

enum class QueryVerdict {
  good,
  drop,       ///< shorter than a header, or an answer: replying to it could start a loop
  malformed,  ///< to be answered with FORMERR
  opcode,     ///< not a standard query (UPDATE, NOTIFY …): only `id` and `flags` are filled
};
QueryVerdict parse_query(Bytes packet, Query& query);

struct Edns {
  std::uint16_t udp_bytes = kPlainUdpBytes;
  std::uint8_t version = 0;
  bool dnssec_ok = false;
};
/// The OPT record behind the question, if there is one. False: the rest of the packet is malformed.
bool parse_edns(Bytes packet, const Query& query, std::optional<Edns>& edns);

/// A resource record to be written.
struct Record {
  std::string owner;  ///< wire name
  std::uint16_t type = 0;
  std::uint32_t ttl = 0;
  std::string rdata;
};

struct Answer {
  Rcode rcode = Rcode::ok;
  bool authoritative = true;
  std::vector<Record> answers, authority, additional;
};

/// The answer's bytes, at most `limit` of them: additional records are left out where there is no room for all of
/// them; where the rest does not fit either, it is the question alone with TC set (RFC 2181, 9).
std::vector<std::uint8_t> encode_answer(const Query& query, const std::optional<Edns>& edns, const Answer& answer,
                                        std::size_t limit);

/// A bare header with that code, for queries whose question cannot be echoed.
std::vector<std::uint8_t> encode_error(const Query& query, Rcode rcode);

/// True if `reply` answers a query with this id and question. An error without a question counts, some resolvers send
/// such.
bool answers_query(Bytes reply, std::uint16_t id, unsigned opcode, std::string_view question);

std::uint16_t message_id(Bytes message);
void set_message_id(std::span<std::uint8_t> message, std::uint16_t id);

/// rdata of the types that carry more than an address.
std::string srv_rdata(std::uint16_t priority, std::uint16_t weight, std::uint16_t port, std::string_view target);
std::string soa_rdata(std::string_view mname, std::string_view rname, std::uint32_t serial,
                      std::uint32_t minimum_seconds);

}  // namespace causeway::dns
