#include "http/rewrite.h"

#include <array>
#include <charconv>
#include <cstring>

namespace causeway::http {

namespace {

void append_field(std::string_view name, std::string_view value, std::string& out) {
  out.append(name).append(": ").append(value).append("\r\n");
}

/// The lines of the fields that `keep` says go on, as they came. Lines that stand together are copied together.
template <class Keep>
void append_kept(const Head& head, const Keep& keep, std::string& out) {
  const char* const end = head.field_block.data() + head.field_block.size();
  const char* run = nullptr;
  for (const Field& field : head.fields) {
    // A field's line begins with its name and ends where the next one begins.
    const char* const line = field.name.data();
    if (keep(field)) {
      if (run == nullptr) run = line;
    } else if (run != nullptr) {
      out.append(run, line);
      run = nullptr;
    }
  }
  if (run != nullptr) out.append(run, end);
}

bool is_hop_by_hop(const Field& field) {
  switch (field.id) {
    case FieldId::connection:
    case FieldId::keep_alive:
    case FieldId::proxy_connection:
    case FieldId::te:
    case FieldId::upgrade:
      return true;
    default:
      return field.named_by_connection;
  }
}

constexpr std::array<std::array<char, 2>, 256> make_hex_pairs() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<std::array<char, 2>, 256> pairs{};
  for (std::size_t byte = 0; byte < 256; ++byte) pairs[byte] = {kDigits[byte / 16], kDigits[byte % 16]};
  return pairs;
}

constexpr auto kHexPairs = make_hex_pairs();

/// A version 4 UUID (RFC 9562, 5.4): 122 random bits around version and variant. By pairs of digits: one at a time took
/// 190 instructions more.
void append_new_request_id(Random& random, std::string& out) {
  const std::uint64_t high = (random.next() & ~std::uint64_t{0xf000}) | 0x4000;
  const std::uint64_t low = (random.next() & ~(std::uint64_t{3} << 62)) | std::uint64_t{1} << 63;
  constexpr std::size_t kName = 14;
  constexpr std::array<std::size_t, 8> kHigh{0, 2, 4, 6, 9, 11, 14, 16};
  constexpr std::array<std::size_t, 8> kLow{19, 21, 24, 26, 28, 30, 32, 34};
  char line[] = "x-request-id: ........-....-....-....-............\r\n";
  for (unsigned i = 0; i < 8; ++i) {
    std::memcpy(line + kName + kHigh[i], kHexPairs[high >> (56 - 8 * i) & 0xff].data(), 2);
    std::memcpy(line + kName + kLow[i], kHexPairs[low >> (56 - 8 * i) & 0xff].data(), 2);
  }
  out.append(line, sizeof line - 1);
}

/// 101, and 426, where Upgrade is the answer (RFC 9110, 15.5.22).
bool carries_upgrade(const ResponseHead& head) {
  return (head.status == 101 || head.status == 426) && head.has(FieldId::upgrade);
}

/// RFC 9110, 8.6 and RFC 9112, 6.1.
bool must_not_frame(const ResponseHead& head) {
  return head.status < 200 || head.status == 204;
}

void append_status(std::uint16_t status, std::string& out) {
  char digits[4];
  const auto end = std::to_chars(digits, digits + sizeof digits, status).ptr;
  out.append(digits, end);
}

}  // namespace

std::string_view own_request_id(const RequestHead& head) {
  if (!head.has(FieldId::x_request_id)) return {};
  const Field* only = nullptr;
  for (const Field& field : head.fields) {
    if (field.id != FieldId::x_request_id) continue;
    if (only != nullptr) return {};
    only = &field;
  }
  const std::string_view id = only->value;
  if (only->named_by_connection || id.size() > kMaxRequestId) return {};
  for (const char c : id) {
    if (c <= ' ' || c > '~') return {};
  }
  return id;
}

void append_request_head(const RequestHead& head, const RequestRewrite& rewrite, std::string& out) {
  out.append(head.method_text).append(" ");
  if (head.path.starts_with('?')) out += '/';
  out.append(head.path).append(" HTTP/1.1\r\n");

  const bool replace_host = head.form == TargetForm::absolute;
  if (replace_host) append_field("host", head.authority, out);
  const bool drop_expect = head.minor == 0 && head.has(FieldId::expect);
  const bool make_id = rewrite.random != nullptr && own_request_id(head).empty();
  const bool replace_id = make_id && head.has(FieldId::x_request_id);
  const bool replace_proto = !rewrite.forwarded_proto.empty() && head.has(FieldId::x_forwarded_proto);
  if (!head.hop_by_hop && !replace_host && !drop_expect && !replace_id && !replace_proto) {
    out.append(head.field_block);
  } else {
    append_kept(
        head,
        [&](const Field& field) {
          if (field.id == FieldId::upgrade && head.wants_upgrade) return true;
          if (field.id == FieldId::host && replace_host) return false;
          if (field.id == FieldId::expect && drop_expect) return false;
          if (field.id == FieldId::x_request_id && replace_id) return false;
          if (field.id == FieldId::x_forwarded_proto && replace_proto) return false;
          return !is_hop_by_hop(field);
        },
        out);
  }

  if (!replace_host && !head.has(FieldId::host)) append_field("host", rewrite.default_host, out);
  if (head.wants_upgrade) out.append("connection: upgrade\r\n");
  if (make_id) append_new_request_id(*rewrite.random, out);
  if (!rewrite.forwarded_proto.empty()) append_field("x-forwarded-proto", rewrite.forwarded_proto, out);
  out.append("\r\n");
}

bool needs_dechunking(const RequestHead& request, const Framing& response) {
  return request.minor == 0 && response.kind == BodyKind::chunked;
}

void append_response_head(const ResponseHead& head, const ResponseRewrite& rewrite, std::string& out) {
  out.append("HTTP/1.1 ");
  append_status(head.status, out);
  out.append(" ").append(head.reason).append("\r\n");

  const bool upgrade = carries_upgrade(head);
  const bool unframed = must_not_frame(head);
  const bool chunked = !unframed && !rewrite.dechunk && rewrite.client_minor > 0;  // an answer to HEAD has no body to say it
  if (!head.hop_by_hop && !unframed && (chunked || !head.chunked)) {
    out.append(head.field_block);
  } else {
    append_kept(
        head,
        [&](const Field& field) {
          if (field.id == FieldId::upgrade && upgrade) return true;
          if (field.id == FieldId::transfer_encoding) return chunked;
          if (field.id == FieldId::content_length) return !unframed;
          if (field.id == FieldId::trailer && rewrite.dechunk) return false;
          return !is_hop_by_hop(field);
        },
        out);
  }

  const bool interim = head.status < 200 && head.status != 101;
  const bool close = (!rewrite.keep_alive || rewrite.dechunk) && head.status != 101;
  if (!interim) {
    if (upgrade) out.append(close ? "connection: upgrade, close\r\n" : "connection: upgrade\r\n");
    if (close && !upgrade) out.append("connection: close\r\n");
    if (!close && !upgrade && rewrite.client_minor == 0) out.append("connection: keep-alive\r\n");
  }
  out.append("\r\n");
}

}  // namespace causeway::http
