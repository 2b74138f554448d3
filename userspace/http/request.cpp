#include "http/chars.h"
#include "http/fields.h"
#include "http/head.h"

namespace causeway::http {

namespace {

/// The longest registered method has 17 characters.
constexpr std::size_t kMaxMethod = 32;

Method identify_method(std::string_view text) {
  // Methods are case-sensitive (RFC 9110, 9.1).
  if (text == "GET") return Method::get;
  if (text == "POST") return Method::post;
  if (text == "HEAD") return Method::head;
  if (text == "PUT") return Method::put;
  if (text == "DELETE") return Method::del;
  if (text == "OPTIONS") return Method::options;
  if (text == "PATCH") return Method::patch;
  if (text == "TRACE") return Method::trace;
  if (text == "CONNECT") return Method::connect;
  return Method::other;
}

std::string_view parse_absolute(RequestHead& head) {
  std::string_view rest = head.target;
  const std::size_t scheme_end = rest.find("://");
  if (scheme_end == std::string_view::npos) return "the request target has no known form";
  const std::string_view scheme = rest.substr(0, scheme_end);
  if (!equals_lower(scheme, "http") && !equals_lower(scheme, "https")) {
    return "the request target's scheme is neither http nor https";
  }
  rest.remove_prefix(scheme_end + 3);
  const std::size_t end = rest.find_first_of("/?");
  head.form = TargetForm::absolute;
  head.authority = rest.substr(0, end);
  if (!is_authority(head.authority)) return "the request target's host is not valid";
  if (end != std::string_view::npos) {
    head.path = rest.substr(end);
  } else {
    // RFC 9112, 3.2.4: OPTIONS for a whole server, asked through a proxy.
    head.path = head.method == Method::options ? "*" : "/";
  }
  return {};
}

std::string_view parse_target(RequestHead& head) {
  if (head.target.empty()) return "the request target is empty";
  if (!all(head.target, kTargetChar)) return "the request target has a forbidden character";
  if (head.method == Method::connect) {
    head.form = TargetForm::authority;
    head.authority = head.target;
    return is_authority(head.authority, true) ? std::string_view{} : "CONNECT's target is not host:port";
  }
  if (head.target.front() == '/') {
    head.path = head.target;
    return {};
  }
  if (head.target == "*") {
    head.form = TargetForm::asterisk;
    head.path = head.target;
    return head.method == Method::options ? std::string_view{} : "the request target * is for OPTIONS alone";
  }
  return parse_absolute(head);
}

/// "HTTP/1.1" or "HTTP/1.0"; another version that is well-formed is 505.
Verdict parse_version(std::string_view text, std::uint8_t& minor) {
  const bool well_formed =
      text.size() == 8 && text.starts_with("HTTP/") && is(text[5], kDigit) && text[6] == '.' && is(text[7], kDigit);
  if (!well_formed) return bad("the request line does not end in an HTTP version");
  if (text[5] != '1' || text[7] > '1') return bad("the HTTP version is neither 1.0 nor 1.1", 505);
  minor = static_cast<std::uint8_t>(text[7] - '0');
  return {Outcome::complete, 0, {}};
}

Verdict parse_request_line(std::string_view line, RequestHead& head) {
  const std::size_t method_end = line.find(' ');
  if (method_end == std::string_view::npos) return bad("the request line has no target");
  head.method_text = line.substr(0, method_end);
  if (!is_token(head.method_text) || head.method_text.size() > kMaxMethod) return bad("the method is not a token");
  head.method = identify_method(head.method_text);
  const std::size_t target_end = line.find(' ', method_end + 1);
  if (target_end == std::string_view::npos) return bad("the request line has no HTTP version");
  head.target = line.substr(method_end + 1, target_end - method_end - 1);
  if (const Verdict verdict = parse_version(line.substr(target_end + 1), head.minor); verdict.outcome == Outcome::bad) {
    return verdict;
  }
  if (const auto reason = parse_target(head); !reason.empty()) return bad(reason);
  return {Outcome::complete, 0, {}};
}

std::string_view check_host(RequestHead& head) {
  const Field* host = nullptr;
  for (const Field& field : head.fields) {
    if (field.id != FieldId::host) continue;
    if (host != nullptr) return "Host is given twice";
    host = &field;
  }
  if (host == nullptr) return head.minor == 0 ? std::string_view{} : "Host is missing";
  // Empty stands for a target without an authority (RFC 9112, 3.2).
  if (!host->value.empty() && !is_authority(host->value)) return "Host is not a valid host[:port]";
  if (head.authority.empty()) head.authority = host->value;
  return {};
}

bool is_upgrade(const RequestHead& head) {
  if (head.minor == 0 || !head.connection_upgrade || !head.has(FieldId::upgrade)) return false;
  if (head.chunked || head.content_length.value_or(0) > 0) return false;
  const Field* only = nullptr;
  for (const Field& field : head.fields) {
    if (field.id != FieldId::upgrade) continue;
    if (only != nullptr) return false;
    only = &field;
  }
  if (only->value.empty()) return false;
  // h2c in the tunnel would take later requests past everything done a request here; a server may always decline it.
  for (std::string_view list = only->value; !list.empty();) {
    const std::string_view protocol = next_element(list);
    if (equals_lower(protocol.substr(0, protocol.find('/')), "h2c")) return false;
  }
  return true;
}

/// A stream that cannot become a request is refused before its first line ends, e.g. a TLS ClientHello.
bool may_become_request(std::string_view begin) {
  if (begin.starts_with("\r\n")) begin.remove_prefix(2);
  if (begin.empty() || begin == "\r") return true;
  const std::string_view method = begin.substr(0, begin.find(' '));
  return method.size() <= kMaxMethod && is_token(method);
}

}  // namespace

Verdict RequestParser::parse(std::string_view buffer) {
  const bool first_look = scanner_.length() < kMaxMethod + 3;
  const Verdict scanned = scanner_.scan(buffer);
  if (scanned.outcome == Outcome::need_more && first_look && !may_become_request(buffer.substr(0, kMaxMethod + 3))) {
    return bad("the method is not a token");
  }
  if (scanned.outcome != Outcome::complete) return scanned;

  head_.clear();
  head_.length = scanner_.length();
  std::string_view text = buffer.substr(0, head_.length - 2);
  if (text.starts_with("\r\n")) text.remove_prefix(2);
  const std::size_t line_end = text.find('\n');
  head_.field_block = text.substr(line_end + 1);
  const Verdict line = parse_request_line(text.substr(0, line_end - 1), head_);
  if (line.outcome == Outcome::bad) return line;
  if (const Verdict fields = parse_fields(head_); fields.outcome == Outcome::bad) return fields;
  if (const auto reason = check_host(head_); !reason.empty()) return bad(reason);
  head_.wants_upgrade = is_upgrade(head_);
  if (const Field* expect = head_.find(FieldId::expect); expect != nullptr && head_.minor > 0) {
    head_.expects_continue = equals_lower(expect->value, "100-continue");
  }
  return {Outcome::complete, 0, {}};
}

void RequestParser::reset() {
  scanner_.reset();
  head_.clear();
}

}  // namespace causeway::http
