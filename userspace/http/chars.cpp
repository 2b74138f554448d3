#include "http/chars.h"

#include <optional>

namespace causeway::http {

namespace {

bool is_port(std::string_view text) {
  unsigned value = 0;
  for (const char c : text) {
    if (!is(c, kDigit)) return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
    if (value > 65535) return false;
  }
  return !text.empty();
}

bool is_reg_name(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size() || !is(text[i + 1], kHex) || !is(text[i + 2], kHex)) return false;
      i += 2;
    } else if (!is(text[i], kHostChar)) {
      return false;
    }
  }
  return !text.empty();
}

/// The inside of the brackets; only its characters are looked at.
bool is_ip_literal(std::string_view text) {
  if (text.size() < 2 || text.find(':') == std::string_view::npos) return false;
  for (const char c : text) {
    if (!is(c, kHex) && c != ':' && c != '.') return false;
  }
  return true;
}

}  // namespace

bool is_authority(std::string_view text, bool port_required) {
  std::string_view host;
  std::optional<std::string_view> port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return false;
    host = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty()) {
      if (rest.front() != ':') return false;
      port = rest.substr(1);
    }
    if (!is_ip_literal(host)) return false;
  } else {
    const std::size_t colon = text.find(':');
    host = text.substr(0, colon);
    if (colon != std::string_view::npos) port = text.substr(colon + 1);
    if (!is_reg_name(host)) return false;
  }
  return port ? is_port(*port) : !port_required;
}

}  // namespace causeway::http
