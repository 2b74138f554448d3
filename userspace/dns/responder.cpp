#include "dns/responder.h"

#include <algorithm>

#include <sys/socket.h>

#include "base/fd.h"

namespace causeway::dns {
namespace {

constexpr std::size_t kMaxResolvers = 3;  // resolv.conf(5)'s MAXNS

void add(std::atomic<std::uint64_t>& counter) {
  counter.fetch_add(1, std::memory_order_relaxed);
}

/// True if this host has the address: only such can be bound.
bool is_local(const IpAddress& ip) {
  sockaddr_storage storage{};
  const socklen_t length = SocketAddress{ip, 0}.to(storage);
  const Fd probe(::socket(storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return probe && ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0;
}

}  // namespace

Responder::Responder(Counters& counters, std::vector<SocketAddress> fallback_resolvers)
    : counters_(counters), fallback_(std::move(fallback_resolvers)) {}

void Responder::set_zone(std::shared_ptr<const Zone> zone) {
  zone_.store(std::move(zone));
}

Revision Responder::revision() const {
  const auto zone = zone_.load();
  return zone ? zone->revision() : Revision{};
}

Decision Responder::decide(Bytes packet, const Asker& asker, Transport transport) {
  Decision decision;
  const QueryVerdict verdict = parse_query(packet, decision.query);
  if (verdict == QueryVerdict::drop || verdict == QueryVerdict::malformed) {
    add(counters_.malformed);
    if (verdict == QueryVerdict::drop) return decision;
    decision.reply = encode_error(decision.query, Rcode::formerr);
    decision.kind = Decision::Kind::reply;
    return decision;
  }
  if (verdict == QueryVerdict::opcode) {
    // Captured on its way to a server that may well serve it (nsupdate); we serve none.
    if (asker.resolver) return forward(std::move(decision), packet, asker, transport);
    add(counters_.refused);
    decision.reply = encode_error(decision.query, Rcode::notimp);
    decision.kind = Decision::Kind::reply;
    return decision;
  }
  const auto zone = zone_.load();
  auto answer = zone ? zone->answer(decision.query, asker.namespace_number, random_) : std::nullopt;
  if (!answer) return forward(std::move(decision), packet, asker, transport);

  decision.kind = Decision::Kind::reply;
  std::optional<Edns> edns;
  if (!parse_edns(packet, decision.query, edns)) {
    add(counters_.malformed);
    decision.reply = encode_error(decision.query, Rcode::formerr);
    return decision;
  }
  if (edns && edns->version != 0) {
    answer = Answer{};
    answer->rcode = Rcode::badvers;
  }
  count(*answer);
  const std::size_t udp_limit = edns ? std::min<std::size_t>(edns->udp_bytes, kMaxUdpBytes) : kPlainUdpBytes;
  decision.reply = encode_answer(decision.query, edns, *answer, transport == Transport::udp ? udp_limit : kMaxTcpBytes);
  return decision;
}

Decision Responder::forward(Decision decision, Bytes packet, const Asker& asker, Transport transport) {
  if (asker.resolver && !is_own(*asker.resolver)) {
    decision.resolvers.push_back(*asker.resolver);
  } else {
    for (const SocketAddress& resolver : fallback_)
      if (decision.resolvers.size() < kMaxResolvers && !is_own(resolver)) decision.resolvers.push_back(resolver);
  }
  if (decision.resolvers.empty()) {
    decision.kind = Decision::Kind::reply;
    decision.reply = servfail(packet, decision.query);
    return decision;
  }
  const bool transfer = decision.query.type == type::axfr || decision.query.type == type::ixfr;
  decision.kind = transfer && transport == Transport::tcp ? Decision::Kind::transfer : Decision::Kind::forward;
  return decision;
}

void Responder::relayed() {
  add(counters_.forwarded);
}

std::vector<std::uint8_t> Responder::servfail(Bytes packet, const Query& query) {
  add(counters_.servfail);
  std::optional<Edns> edns;
  if (query.question.empty() || !parse_edns(packet, query, edns)) return encode_error(query, Rcode::servfail);
  Answer answer;
  answer.rcode = Rcode::servfail;
  answer.authoritative = false;
  return encode_answer(query, edns, answer, kPlainUdpBytes);
}

void Responder::count(const Answer& answer) {
  switch (answer.rcode) {
    case Rcode::ok:
      return add(answer.answers.empty() ? counters_.nodata : counters_.answered);
    case Rcode::nxdomain:
      return add(counters_.nxdomain);
    case Rcode::servfail:
      return add(counters_.servfail);
    default:
      return add(counters_.refused);
  }
}

bool Responder::is_own(const SocketAddress& address) const {
  const IpAddress any4 = IpAddress::v4(0), any6;
  return std::any_of(own_.begin(), own_.end(), [&](const SocketAddress& own) {
    if (own.port != address.port) return false;
    if (own.ip == any4 || own.ip == any6) return is_local(address.ip);
    return own.ip == address.ip;
  });
}

}  // namespace causeway::dns
