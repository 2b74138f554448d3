#pragma once
// Hand-made DNS messages, and a reader of answers that shares no code with what is tested.
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "dns/message.h"
#include "dns/name.h"

namespace causeway::dns::test {

using Packet = std::vector<std::uint8_t>;

inline IpAddress ip_loopback() {
  return IpAddress::v4(0x7f000001);
}

inline void append16(Packet& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

/// Name as given, case kept.
inline std::string raw_name(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto dot = std::min(text.find('.'), text.size());
    out += static_cast<char>(dot);
    out += text.substr(0, dot);
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return out + '\0';
}

inline Packet make_query(std::string_view name, unsigned qtype, unsigned id = 0x1234, unsigned klass = 1,
                         unsigned flags = 0x0100) {
  Packet out;
  for (const unsigned v : {id, flags, 1u, 0u, 0u, 0u}) append16(out, v);
  for (const char c : raw_name(name)) out.push_back(static_cast<std::uint8_t>(c));
  append16(out, qtype);
  append16(out, klass);
  return out;
}

inline void add_opt(Packet& packet, unsigned udp_bytes, unsigned version = 0, bool dnssec_ok = false) {
  ++packet[11];
  packet.push_back(0);
  for (const unsigned v : {41u, udp_bytes, version, dnssec_ok ? 0x8000u : 0u, 0u}) append16(packet, v);
}

struct ReadRecord {
  std::string owner;  ///< dotted text, case kept
  unsigned type = 0, klass = 0;
  std::uint32_t ttl = 0;
  std::string rdata;
};

struct ReadAnswer {
  unsigned id = 0, flags = 0;
  std::string name;
  std::vector<ReadRecord> answers, authority, additional;
  unsigned rcode() const { return flags & 15; }
  bool truncated() const { return (flags & 0x200) != 0; }
};

/// Reads a whole message, following compression; throws where it is not well-formed to the last byte.
class Reader {
 public:
  explicit Reader(const Packet& packet) : p_(packet) {}

  ReadAnswer read() {
    ReadAnswer a;
    a.id = u16();
    a.flags = u16();
    const unsigned questions = u16(), answers = u16(), authority = u16(), additional = u16();
    for (unsigned i = 0; i < questions; ++i) {
      a.name = name();
      u16();
      u16();
    }
    for (unsigned i = 0; i < answers; ++i) a.answers.push_back(record());
    for (unsigned i = 0; i < authority; ++i) a.authority.push_back(record());
    for (unsigned i = 0; i < additional; ++i) a.additional.push_back(record());
    if (at_ != p_.size()) throw std::runtime_error("bytes behind the message");
    return a;
  }

 private:
  unsigned u8() { return p_.at(at_++); }
  unsigned u16() {
    const unsigned high = u8();
    return high << 8 | u8();
  }
  std::string name() {
    std::string text;
    std::size_t at = at_;
    bool jumped = false;
    for (int steps = 0; steps < 200; ++steps) {
      const unsigned length = p_.at(at++);
      if (length >= 0xc0) {
        const std::size_t target = (length & 0x3f) << 8 | p_.at(at++);
        if (!jumped) at_ = at;
        jumped = true;
        at = target;
        continue;
      }
      if (length == 0) {
        if (!jumped) at_ = at;
        return text;
      }
      if (!text.empty()) text += '.';
      for (unsigned i = 0; i < length; ++i) text += static_cast<char>(p_.at(at++));
    }
    throw std::runtime_error("name does not end");
  }
  ReadRecord record() {
    ReadRecord r;
    r.owner = name();
    r.type = u16();
    r.klass = u16();
    r.ttl = u16() << 16;
    r.ttl |= u16();
    for (unsigned n = u16(); n > 0; --n) r.rdata += static_cast<char>(u8());
    return r;
  }
  const Packet& p_;
  std::size_t at_ = 0;
};

inline ReadAnswer read(const Packet& packet) {
  return Reader(packet).read();
}

}  // namespace causeway::dns::test
