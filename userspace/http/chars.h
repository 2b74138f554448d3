#pragma once
// Character classes of RFC 9110, 5.6.2 and RFC 3986, and comparison without regard to case.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace causeway::http {

enum CharClass : std::uint8_t {
  kTchar = 1,      ///< of a token
  kFieldChar = 2,  ///< of a field's value: VCHAR, SP, HTAB, obs-text. CR, NUL and other controls are refused
  kHostChar = 4,   ///< of a reg-name but `%` and `,` (in a Host that would be a list)
  kHex = 8,
  kDigit = 16,
  kTargetChar =
      32,  ///< of a request target: visible, not `#`; bytes above 127, which clients send raw, are let through
};

constexpr std::array<std::uint8_t, 256> make_char_classes() {
  std::array<std::uint8_t, 256> table{};
  for (std::size_t c = 0; c < 256; ++c) {
    const bool digit = c >= '0' && c <= '9';
    const bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool in_token = std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
    const bool in_host = std::string_view("-._~!$&'()*+;=").find(static_cast<char>(c)) != std::string_view::npos;
    const bool hex = digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    unsigned classes = 0;
    if (digit || alpha || in_token) classes |= kTchar;
    if (c == '\t' || (c >= ' ' && c != 0x7f)) classes |= kFieldChar;
    if (digit || alpha || in_host) classes |= kHostChar;
    if (hex) classes |= kHex;
    if (digit) classes |= kDigit;
    if (c > ' ' && c != 0x7f && c != '#') classes |= kTargetChar;
    table[c] = static_cast<std::uint8_t>(classes);
  }
  return table;
}

inline constexpr std::array<std::uint8_t, 256> kCharClasses = make_char_classes();

constexpr bool is(char c, CharClass char_class) {
  return (kCharClasses[static_cast<unsigned char>(c)] & char_class) != 0;
}

constexpr bool all(std::string_view text, CharClass char_class) {
  for (const char c : text) {
    if (!is(c, char_class)) return false;
  }
  return true;
}

constexpr bool is_token(std::string_view text) {
  return !text.empty() && all(text, kTchar);
}

constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

/// `lower` has no upper-case letter.
constexpr bool equals_lower(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (to_lower(text[i]) != lower[i]) return false;
  }
  return true;
}

/// As CGI and its heirs (WSGI, Rack, PHP) read a field's name: they cannot tell `_` from `-`. `lower` as above.
constexpr bool equals_in_cgi(std::string_view name, std::string_view lower) {
  if (name.size() != lower.size()) return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (to_lower(name[i] == '_' ? '-' : name[i]) != lower[i]) return false;
  }
  return true;
}

constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}

/// Without SP and HTAB at both ends (OWS).
constexpr std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Takes the next element of a comma-separated list off `list` (RFC 9110, 5.6.1), trimmed; empty ones are given, too.
constexpr std::string_view next_element(std::string_view& list) {
  const std::size_t comma = list.find(',');
  const std::string_view element = trim(list.substr(0, comma));
  list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
  return element;
}

/// uri-host [":" port] (RFC 3986, 3.2): a reg-name, IPv4 address or bracketed IPv6 address. Not empty, no userinfo.
bool is_authority(std::string_view text, bool port_required = false);

}  // namespace causeway::http
