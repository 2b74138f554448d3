#include "dns/name.h"

#include <algorithm>

namespace causeway::dns {
namespace {

constexpr std::size_t kMaxLabel = 63;
constexpr std::size_t kMaxName = 255;  // RFC 1035, 2.3.4: length bytes and the root included
constexpr std::uint8_t kPointer = 0xc0;

char fold(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::optional<std::size_t> name_end(Bytes message, std::size_t at, bool may_point) {
  const std::size_t start = at;
  while (at < message.size()) {
    const std::uint8_t length = message[at];
    if (length == 0) return at + 1 - start <= kMaxName ? std::optional(at + 1) : std::nullopt;
    if ((length & kPointer) == kPointer)
      return may_point && at + 2 <= message.size() ? std::optional(at + 2) : std::nullopt;
    if (length > kMaxLabel) return std::nullopt;
    at += 1u + length;
    if (at - start >= kMaxName) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> wire_name(std::string_view text) {
  if (!text.empty() && text.back() == '.') text.remove_suffix(1);
  std::string wire;
  while (!text.empty()) {
    const std::size_t length = std::min(text.find('.'), text.size());
    if (length == 0 || length > kMaxLabel || length + 1 == text.size()) return std::nullopt;
    wire += static_cast<char>(length);
    for (const char c : text.substr(0, length)) wire += fold(c);
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  wire += '\0';
  if (wire.size() > kMaxName) return std::nullopt;
  return wire;
}

std::string fold_case(std::string_view wire) {
  std::string folded(wire);
  std::transform(folded.begin(), folded.end(), folded.begin(), fold);
  return folded;
}

std::string_view parent(std::string_view wire) {
  const std::size_t label = wire.empty() ? 0 : static_cast<std::uint8_t>(wire.front());
  return label == 0 || label + 1 > wire.size() ? std::string_view{} : wire.substr(label + 1);
}

std::optional<std::size_t> plain_name_end(Bytes message, std::size_t at) {
  return name_end(message, at, false);
}
std::optional<std::size_t> any_name_end(Bytes message, std::size_t at) {
  return name_end(message, at, true);
}

std::string reverse_name(const IpAddress& address) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  const auto& bytes = address.bytes();
  if (address.is_v4()) {
    for (std::size_t i = 16; i-- > 12;) text += std::to_string(bytes[i]) + '.';
    return *wire_name(text + "in-addr.arpa");
  }
  for (std::size_t i = 16; i-- > 0;) {
    text += kHex[bytes[i] & 15];
    text += '.';
    text += kHex[bytes[i] >> 4];
    text += '.';
  }
  return *wire_name(text + "ip6.arpa");
}

}  // namespace causeway::dns
