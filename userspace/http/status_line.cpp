#include "http/chars.h"
#include "http/fields.h"
#include "http/head.h"

namespace causeway::http {

namespace {

constexpr std::string_view kVersionPrefix = "HTTP/1.";

std::string_view parse_status_line(std::string_view line, ResponseHead& head) {
  if (!line.starts_with(kVersionPrefix) || line.size() < 12 || line[7] < '0' || line[7] > '1' || line[8] != ' ') {
    return "the status line does not begin with HTTP/1.0 or HTTP/1.1";
  }
  head.minor = static_cast<std::uint8_t>(line[7] - '0');
  const std::string_view status = line.substr(9, 3);
  if (!all(status, kDigit) || status.front() == '0') return "the status is not a number from 100 to 999";
  for (const char c : status) head.status = static_cast<std::uint16_t>(head.status * 10 + (c - '0'));
  // The space belongs there even without a phrase (RFC 9112, 4); many servers leave it out, and nothing depends on it.
  const std::string_view rest = line.substr(12);
  if (rest.empty()) return {};
  if (rest.front() != ' ') return "the status is not a number from 100 to 999";
  head.reason = rest.substr(1);
  return is_field_value(head.reason) ? std::string_view{} : "the reason phrase has a control character";
}

}  // namespace

Verdict ResponseParser::parse(std::string_view buffer) {
  const std::string_view begin = buffer.substr(0, kVersionPrefix.size());
  if (begin != kVersionPrefix.substr(0, begin.size())) {
    return bad("the status line does not begin with HTTP/1.0 or HTTP/1.1");
  }
  const Verdict scanned = scanner_.scan(buffer);
  if (scanned.outcome != Outcome::complete) return scanned;

  head_.clear();
  head_.length = scanner_.length();
  const std::string_view text = buffer.substr(0, head_.length - 2);
  const std::size_t line_end = text.find('\n');
  head_.field_block = text.substr(line_end + 1);
  if (const auto reason = parse_status_line(text.substr(0, line_end - 1), head_); !reason.empty()) return bad(reason);
  return parse_fields(head_);
}

void ResponseParser::reset() {
  scanner_.reset();
  head_.clear();
}

}  // namespace causeway::http
