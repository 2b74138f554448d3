#include "dns/message.h"

#include <algorithm>

namespace causeway::dns {
namespace {

constexpr std::uint16_t kQr = 0x8000, kAa = 0x0400, kTc = 0x0200, kRd = 0x0100, kRa = 0x0080, kCd = 0x0010;
constexpr std::uint16_t kOpcodeMask = 0x7800, kRcodeMask = 0x000f;
constexpr std::uint16_t kDnssecOk = 0x8000;
/// More records than this in a query is nobody's query; TSIG, OPT and an IXFR's SOA are three.
constexpr unsigned kMaxQueryRecords = 16;

// RFC 1035's example figures; nobody transfers these zones.
constexpr std::uint32_t kSoaRefresh = 7200, kSoaRetry = 900, kSoaExpire = 1'209'600;

std::uint16_t get16(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

template <class Out>
void put16(Out& out, std::size_t value) {
  out.push_back(static_cast<typename Out::value_type>(value >> 8 & 0xff));
  out.push_back(static_cast<typename Out::value_type>(value & 0xff));
}

template <class Out>
void put32(Out& out, std::uint32_t value) {
  put16(out, value >> 16);
  put16(out, value & 0xffff);
}

/// Writes one answer. Owner names are compressed against the question's name, which stands at offset 12.
class Writer {
 public:
  Writer(const Query& query, const std::optional<Edns>& edns) : query_(query), edns_(edns) {}

  std::vector<std::uint8_t> write(const Answer& answer, bool records, bool additional, bool truncated) {
    const auto rcode = static_cast<unsigned>(answer.rcode);
    put16(out_, query_.id);
    put16(out_, kQr | (query_.flags & (kOpcodeMask | kRd | kCd)) | kRa | (answer.authoritative ? kAa : 0) |
                    (truncated ? kTc : 0) | (rcode & kRcodeMask));
    put16(out_, 1);
    put16(out_, records ? answer.answers.size() : 0);
    put16(out_, records ? answer.authority.size() : 0);
    put16(out_, (additional ? answer.additional.size() : 0) + (edns_ ? 1 : 0));
    out_.insert(out_.end(), query_.question.begin(), query_.question.end());
    if (records) {
      for (const Record& r : answer.answers) put(r);
      for (const Record& r : answer.authority) put(r);
    }
    if (additional)
      for (const Record& r : answer.additional) put(r);
    if (edns_) put_opt(rcode);
    return std::move(out_);
  }

 private:
  void put(const Record& record) {
    put_name(record.owner);
    put16(out_, record.type);
    put16(out_, kClassIn);
    put32(out_, record.ttl);
    put16(out_, record.rdata.size());
    out_.insert(out_.end(), record.rdata.begin(), record.rdata.end());
  }

  void put_name(std::string_view name) {
    for (std::string_view rest = name; rest.size() > 1; rest = parent(rest)) {
      if (rest.size() > query_.name.size()) {
        put_label(rest);
        continue;
      }
      const std::size_t at = query_.name.size() - rest.size();
      if (starts_label(at) && std::string_view(query_.name).substr(at) == rest)
        return put16(out_, 0xc000u + kHeaderBytes + at);
      put_label(rest);
    }
    out_.push_back(0);
  }

  bool starts_label(std::size_t at) const {
    std::size_t label = 0;
    while (label < at) label += 1u + static_cast<std::uint8_t>(query_.name[label]);
    return label == at;
  }

  void put_label(std::string_view name) {
    const auto length = 1u + static_cast<std::uint8_t>(name.front());
    out_.insert(out_.end(), name.begin(), name.begin() + length);
  }

  void put_opt(unsigned rcode) {
    out_.push_back(0);
    put16(out_, type::opt);
    put16(out_, kMaxUdpBytes);
    put16(out_, (rcode >> 4) << 8);  // extended code, our version 0
    put16(out_, edns_->dnssec_ok ? kDnssecOk : 0);
    put16(out_, 0);
  }

  const Query& query_;
  const std::optional<Edns>& edns_;
  std::vector<std::uint8_t> out_;
};

}  // namespace

QueryVerdict parse_query(Bytes packet, Query& query) {
  if (packet.size() < kHeaderBytes) return QueryVerdict::drop;
  query.id = get16(packet, 0);
  query.flags = get16(packet, 2);
  if ((query.flags & kQr) != 0) return QueryVerdict::drop;
  if (query.opcode() != 0) return QueryVerdict::opcode;
  if (get16(packet, 4) != 1) return QueryVerdict::malformed;
  const auto end = plain_name_end(packet, kHeaderBytes);
  if (!end || *end + 4 > packet.size()) return QueryVerdict::malformed;
  const auto* text = reinterpret_cast<const char*>(packet.data()) + kHeaderBytes;
  query.question.assign(text, *end + 4 - kHeaderBytes);
  query.name = fold_case(std::string_view(text, *end - kHeaderBytes));
  query.type = get16(packet, *end);
  query.klass = get16(packet, *end + 2);
  return QueryVerdict::good;
}

bool parse_edns(Bytes packet, const Query& query, std::optional<Edns>& edns) {
  std::size_t at = kHeaderBytes + query.question.size();
  const unsigned before = get16(packet, 6) + get16(packet, 8);
  const unsigned records = before + get16(packet, 10);
  if (records > kMaxQueryRecords) return false;
  for (unsigned i = 0; i < records; ++i) {
    const std::size_t owner = at;
    const auto end = any_name_end(packet, at);
    if (!end || *end + 10 > packet.size()) return false;
    at = *end;
    const std::size_t next = at + 10 + get16(packet, at + 8);
    if (next > packet.size()) return false;
    if (get16(packet, at) == type::opt) {
      // RFC 6891, 6.1.1: at most one, in the additional section, owned by the root.
      if (edns || i < before || packet[owner] != 0) return false;
      edns = Edns{std::max<std::uint16_t>(get16(packet, at + 2), kPlainUdpBytes), packet[at + 5],
                  (packet[at + 6] & 0x80) != 0};
    }
    at = next;
  }
  return at == packet.size();
}

std::vector<std::uint8_t> encode_answer(const Query& query, const std::optional<Edns>& edns, const Answer& answer,
                                        std::size_t limit) {
  auto bytes = Writer(query, edns).write(answer, true, true, false);
  if (bytes.size() <= limit) return bytes;
  bytes = Writer(query, edns).write(answer, true, false, false);
  if (bytes.size() <= limit) return bytes;
  return Writer(query, edns).write(answer, false, false, true);
}

std::vector<std::uint8_t> encode_error(const Query& query, Rcode rcode) {
  std::vector<std::uint8_t> out;
  put16(out, query.id);
  put16(out, kQr | (query.flags & (kOpcodeMask | kRd)) | kRa | (static_cast<unsigned>(rcode) & kRcodeMask));
  out.resize(kHeaderBytes);
  return out;
}

bool answers_query(Bytes reply, std::uint16_t id, unsigned opcode, std::string_view question) {
  if (reply.size() < kHeaderBytes || get16(reply, 0) != id) return false;
  const std::uint16_t flags = get16(reply, 2);
  if ((flags & kQr) == 0 || (flags >> 11 & 15) != opcode) return false;
  if (opcode != 0) return true;  // the section is a zone there, and answers may leave it out (RFC 2136, 3.8)
  if (get16(reply, 4) == 0) return (flags & kRcodeMask) != 0;
  if (get16(reply, 4) != 1 || reply.size() < kHeaderBytes + question.size()) return false;
  const std::string_view echoed(reinterpret_cast<const char*>(reply.data()) + kHeaderBytes, question.size());
  const std::size_t name = question.size() - 4;
  return fold_case(echoed.substr(0, name)) == fold_case(question.substr(0, name)) &&
         echoed.substr(name) == question.substr(name);
}

std::uint16_t message_id(Bytes message) {
  return get16(message, 0);
}

void set_message_id(std::span<std::uint8_t> message, std::uint16_t id) {
  message[0] = static_cast<std::uint8_t>(id >> 8);
  message[1] = static_cast<std::uint8_t>(id & 0xff);
}

std::string srv_rdata(std::uint16_t priority, std::uint16_t weight, std::uint16_t port, std::string_view target) {
  std::string out;
  for (const auto value : {priority, weight, port}) put16(out, value);
  return out.append(target);  // not compressed: RFC 2782
}

std::string soa_rdata(std::string_view mname, std::string_view rname, std::uint32_t serial,
                      std::uint32_t minimum_seconds) {
  std::string out(mname);
  out.append(rname);
  for (const auto value : {serial, kSoaRefresh, kSoaRetry, kSoaExpire, minimum_seconds}) put32(out, value);
  return out;
}

}  // namespace causeway::dns
