#include "http/fields.h"

#include <cstring>
#include <limits>

#include "http/chars.h"

namespace causeway::http {

namespace {

/// More connection options than this are refused: each is compared with every field.
constexpr std::size_t kMaxConnectionOptions = 32;

FieldId identify(std::string_view name) {
  const auto either = [name](std::string_view lower, FieldId id) {
    return equals_lower(name, lower) ? id : FieldId::other;
  };
  const char first = to_lower(name.front());
  switch (name.size()) {
    case 2:
      return either("te", FieldId::te);
    case 4:
      return either("host", FieldId::host);
    case 6:
      return either("expect", FieldId::expect);
    case 7:
      return first == 't' ? either("trailer", FieldId::trailer) : either("upgrade", FieldId::upgrade);
    case 10:
      return first == 'c' ? either("connection", FieldId::connection) : either("keep-alive", FieldId::keep_alive);
    case 11:
      return either("traceparent", FieldId::traceparent);
    case 12:
      return either("x-request-id", FieldId::x_request_id);
    case 14:
      return either("content-length", FieldId::content_length);
    case 16:
      return either("proxy-connection", FieldId::proxy_connection);
    case 17:
      if (first == 't') return either("transfer-encoding", FieldId::transfer_encoding);
      // With `_`, too: what the proxy says of the connection must not stand beside what a client says.
      return equals_in_cgi(name, "x-forwarded-proto") ? FieldId::x_forwarded_proto : FieldId::other;
    default:
      return FieldId::other;
  }
}

std::string_view take_content_length(Head& head, std::string_view value) {
  if (head.content_length) return "Content-Length is given twice";
  if (value.empty()) return "Content-Length is empty";
  std::uint64_t length = 0;
  for (const char c : value) {
    // No sign, list, hexadecimal or white space: 1*DIGIT (RFC 9110, 8.6).
    if (!is(c, kDigit)) return "Content-Length is not a decimal number";
    const auto digit = static_cast<std::uint64_t>(c - '0');
    // Half of the range, so that no implementation behind us reads it as negative.
    if (length > (std::uint64_t{std::numeric_limits<std::int64_t>::max()} - digit) / 10) {
      return "Content-Length is too large";
    }
    length = length * 10 + digit;
  }
  head.content_length = length;
  return {};
}

/// RFC 9112, 6.1 and 6.3: a list whose last coding is not chunked, and only there, leaves the length open (400); of one
/// that is, every coding must be understood (501).
std::string_view take_transfer_encoding(Head& head, std::string_view list, bool& other_codings) {
  if (head.chunked) return "Transfer-Encoding is given twice";
  head.chunked = true;
  if (equals_lower(list, "chunked")) return {};
  for (bool last = false; !last;) {
    last = list.find(',') == std::string_view::npos;
    const std::string_view coding = next_element(list);
    if (!is_token(coding) || equals_lower(coding, "chunked") != last || equals_lower(coding, "identity")) {
      return "Transfer-Encoding is not exactly chunked";
    }
  }
  other_codings = true;
  return {};
}

/// Names that some servers take for the framing fields, and others ignore.
std::string_view check_look_alike(std::string_view name) {
  if (equals_in_cgi(name, "content-length")) return "a field's name can be read as Content-Length";
  if (equals_in_cgi(name, "transfer-encoding")) return "a field's name can be read as Transfer-Encoding";
  return {};
}

std::string_view take_connection(Head& head, std::string_view list, std::size_t& options) {
  while (!list.empty()) {
    const std::string_view option = next_element(list);
    if (option.empty()) continue;
    if (++options > kMaxConnectionOptions) return "Connection has too many options";
    if (!is_token(option)) return "a connection option is not a token";
    if (equals_lower(option, "close")) {
      head.connection_close = true;
    } else if (equals_lower(option, "keep-alive")) {
      head.connection_keep_alive = true;
    } else if (equals_lower(option, "upgrade")) {
      head.connection_upgrade = true;
    } else if (equals_lower(option, "host") || equals_lower(option, "content-length")) {
      // To drop these on the way is an attack on what stands behind.
      return "Connection names a field that every recipient needs";
    }
  }
  return {};
}

/// RFC 9110, 7.6.1: fields that Connection names go no further than this hop.
void mark_named(Head& head) {
  for (const Field& connection : head.fields) {
    if (connection.id != FieldId::connection) continue;
    for (std::string_view list = connection.value; !list.empty();) {
      const std::string_view option = next_element(list);
      if (option.empty()) continue;
      for (Field& field : head.fields) {
        // Transfer-Encoding is this hop's, too, but the body keeps it: it goes out as it came in.
        if (field.id != FieldId::transfer_encoding && equals_ignoring_case(field.name, option)) {
          field.named_by_connection = true;
        }
      }
    }
  }
}

/// One line without its CRLF.
std::string_view parse_line(std::string_view line, Field& field) {
  std::size_t colon = 0;
  while (colon < line.size() && is(line[colon], kTchar)) ++colon;
  if (colon == line.size()) return "a field line has no colon";
  if (line[colon] != ':') {
    const bool space = line[colon] == ' ' || line[colon] == '\t';
    if (space && colon == 0) return "a field is folded over lines";
    return space ? "white space stands before a field's colon" : "a field's name has a forbidden character";
  }
  if (colon == 0) return "a field has no name";
  field.name = line.substr(0, colon);
  field.value = trim(line.substr(colon + 1));
  if (!is_field_value(field.value)) return "a field's value has a control character";
  field.id = identify(field.name);
  const bool frames = field.id == FieldId::content_length || field.id == FieldId::transfer_encoding;
  // White space there may be (RFC 9110, 5.5), but some servers know blanks alone.
  if (frames && line.find('\t', colon) != std::string_view::npos) return "a framing field has a tab";
  field.named_by_connection = false;
  return {};
}

struct Taken {
  std::size_t connection_options = 0;
  bool other_codings = false;
};

std::string_view take(Head& head, const Field& field, Taken& taken) {
  switch (field.id) {
    case FieldId::other:
      return check_look_alike(field.name);
    case FieldId::content_length:
      return take_content_length(head, field.value);
    case FieldId::transfer_encoding:
      return take_transfer_encoding(head, field.value, taken.other_codings);
    case FieldId::connection:
      head.hop_by_hop = true;
      return take_connection(head, field.value, taken.connection_options);
    case FieldId::keep_alive:
    case FieldId::proxy_connection:
    case FieldId::te:
    case FieldId::upgrade:
      head.hop_by_hop = true;
      return {};
    default:
      return {};
  }
}

}  // namespace

bool is_field_value(std::string_view text) {
  // Eight bytes at a time: none is below SP (HTAB is then looked at singly), none is DEL. A borrow from a lower byte
  // may report one too many, never one too few.
  constexpr std::uint64_t kOnes = 0x0101010101010101u;
  constexpr std::uint64_t kHighs = 0x8080808080808080u;
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t x;
    std::memcpy(&x, text.data() + i, 8);
    const std::uint64_t del = x ^ (kOnes * 0x7f);
    const std::uint64_t suspicious = ((x - kOnes * 0x20) & ~x & kHighs) | ((del - kOnes) & ~del & kHighs);
    if (suspicious != 0 && !all(text.substr(i, 8), kFieldChar)) return false;
  }
  return all(text.substr(i), kFieldChar);
}

Verdict parse_fields(Head& head) {
  Taken taken;
  for (std::string_view rest = head.field_block; !rest.empty();) {
    const std::size_t lf = rest.find('\n');  // the scanner saw CRLF at each line's end
    Field& field = head.fields.emplace_back();
    if (const auto reason = parse_line(rest.substr(0, lf - 1), field); !reason.empty()) return bad(reason);
    if (const auto reason = take(head, field, taken); !reason.empty()) return bad(reason);
    if (field.id != FieldId::other) head.present |= 1u << static_cast<unsigned>(field.id);
    rest.remove_prefix(lf + 1);
  }
  if (head.chunked && head.content_length) return bad("both Transfer-Encoding and Content-Length are given");
  if (head.chunked && head.minor == 0) return bad("Transfer-Encoding is given in HTTP/1.0");
  if (taken.other_codings) return bad("Transfer-Encoding has a coding other than chunked", 501);
  if (taken.connection_options > 0) mark_named(head);
  return {Outcome::complete, 0, {}};
}

}  // namespace causeway::http
