// What `causeway explain` is asked about.
#include <charconv>

#include "agent/explain.h"

namespace causeway::agent {

Result<ExplainQuestion> parse_target(std::string_view target) {
  ExplainQuestion question;
  const auto bad = [target](std::string_view why) { return make_error("explain", target, why); };
  if (target.empty() || target.size() > 255 + 6) return bad("NAME[:PORT] is at most 255 characters");
  if (IpAddress::parse(target)) {
    question.name = target;
    return question;
  }
  std::string_view port;
  if (target.starts_with('[')) {
    const std::size_t close = target.find(']');
    if (close == std::string_view::npos) return bad("the ] is missing");
    question.name = target.substr(1, close - 1);
    const std::string_view rest = target.substr(close + 1);
    if (!rest.empty() && rest[0] != ':') return bad("after ] only :PORT may stand");
    port = rest.empty() ? rest : rest.substr(1);
    if (!rest.empty() && port.empty()) return bad("the port is missing");
    if (!IpAddress::parse(question.name)) return bad("between [ and ] an IPv6 address must stand");
  } else {
    const std::size_t colon = target.find(':');
    question.name = target.substr(0, colon);
    if (colon != std::string_view::npos) {
      port = target.substr(colon + 1);
      if (port.empty()) return bad("the port is missing");
    }
  }
  for (const char c : question.name) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '/')
      return bad("a name, not a URL: NAME[:PORT], e.g. user-svc:80");
  }
  if (question.name.empty()) return bad("the name is missing");
  if (!port.empty()) {
    std::uint16_t number = 0;
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc() || end != port.data() + port.size() || number == 0) {
      return bad("the port must be a number from 1 to 65535 (a URL is not taken: NAME[:PORT], e.g. user-svc:80)");
    }
    question.port = number;
  }
  return question;
}

}  // namespace causeway::agent
