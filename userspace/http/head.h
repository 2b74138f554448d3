#pragma once
// HTTP/1 message heads (RFC 9112), parsed strictly: what two implementations could read differently is refused, so that
// nothing behind the proxy frames a message otherwise than the proxy did.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace causeway::http {

struct HeadLimits {
  std::size_t max_bytes = 64 * 1024;  ///< of the whole head, start line and final CRLF included
  std::size_t max_fields = 128;
};

/// The reason of a Verdict that is no matter of bytes.
inline constexpr std::string_view kTooManyFields = "the head has too many fields";

enum class Outcome : std::uint8_t { need_more, complete, bad };

struct Verdict {
  Outcome outcome = Outcome::need_more;
  /// bad: what a client is answered: 400, 414, 431, 501 or 505. A bad response is the proxy's 502.
  std::uint16_t status = 0;
  std::string_view reason = {};  ///< bad: one static line for a person
};

constexpr Verdict bad(std::string_view reason, std::uint16_t status = 400) {
  return {Outcome::bad, status, reason};
}

enum class Method : std::uint8_t { other, get, head, post, put, del, options, patch, trace, connect };

/// RFC 9110, 9.2.2: sending it twice is as good as once.
bool is_idempotent(Method method);

/// Fields whose name means something to the proxy.
enum class FieldId : std::uint8_t {
  other,
  connection,
  content_length,
  expect,
  host,
  keep_alive,
  proxy_connection,
  te,
  trailer,
  traceparent,
  transfer_encoding,
  upgrade,
  x_forwarded_proto,
  x_request_id,
};

struct Field {
  std::string_view name;   ///< as sent
  std::string_view value;  ///< without the white space around it
  FieldId id = FieldId::other;
  bool named_by_connection = false;  ///< hop-by-hop because Connection names it (RFC 9110, 7.6.1)
};

enum class TargetForm : std::uint8_t { origin, absolute, authority, asterisk };

/// What requests and responses have in common. All views point into the buffer that was parsed.
struct Head {
  std::size_t length = 0;        ///< bytes up to and with the empty line; the body starts there
  std::uint8_t minor = 1;        ///< HTTP/1.minor: 0 or 1
  std::vector<Field> fields;     ///< in order
  std::string_view field_block;  ///< all field lines, each with its CRLF, without the empty line
  std::optional<std::uint64_t> content_length;
  bool chunked = false;                ///< Transfer-Encoding is exactly `chunked`
  bool connection_close = false;       ///< Connection names close
  bool connection_keep_alive = false;  ///< Connection names keep-alive
  bool connection_upgrade = false;     ///< Connection names upgrade
  bool hop_by_hop = false;             ///< some field must not be forwarded
  std::uint32_t present = 0;           ///< a bit a FieldId

  bool has(FieldId id) const { return (present >> static_cast<unsigned>(id) & 1u) != 0; }

  /// The first field of that id, or nullptr. `id` is not `other`.
  const Field* find(FieldId id) const;
  /// The first field of that name (any case), or nullptr.
  const Field* find(std::string_view name) const;

 protected:
  void clear();
};

struct RequestHead : Head {
  Method method = Method::other;
  std::string_view method_text;
  TargetForm form = TargetForm::origin;
  std::string_view target;  ///< as sent
  /// Path and query to be sent on: "*" for asterisk-form, empty for CONNECT; of an absolute-form without a path it is
  /// "/" (OPTIONS: "*"), or only the query, "?...", which goes out behind a "/".
  std::string_view path;
  std::string_view
      authority;  ///< host[:port] that the request is for: the target's, else Host's; empty on HTTP/1.0 without
  /// A real upgrade (RFC 9110, 7.8): HTTP/1.1, Connection names upgrade, one Upgrade field, no body, not h2c.
  bool wants_upgrade = false;
  /// Expect: 100-continue on HTTP/1.1.
  bool expects_continue = false;

  void clear();
};

struct ResponseHead : Head {
  std::uint16_t status = 0;  ///< 100..999
  std::string_view reason;   ///< may be empty

  void clear();
};

/// Finds a head's end in a growing buffer, line by line, without looking at a byte twice.
class HeadScanner {
 public:
  explicit HeadScanner(HeadLimits limits) : limits_(limits) {}
  /// `buffer` begins with the head's first byte. complete: `length()` bytes are the head.
  Verdict scan(std::string_view buffer);
  std::size_t length() const { return scanned_; }
  void reset();

 private:
  HeadLimits limits_;
  std::size_t scanned_ = 0;     ///< bytes looked at
  std::size_t line_start_ = 0;  ///< where the unfinished line begins
  std::size_t lines_ = 0;       ///< finished lines, an empty line before the start line not counted
};

/// Parses one request head from a buffer that grows: call parse() after each read with all bytes from the head's first
/// on; the buffer may have moved in between. After `complete`, head() is valid as long as the buffer stays where it is.
/// reset() makes it ready for the next request and keeps its memory: no allocation a request once warm.
/// One empty line before the request line is skipped (RFC 9112, 2.2). Not thread-safe.
class RequestParser {
 public:
  explicit RequestParser(HeadLimits limits = {}) : scanner_(limits), limits_(limits) {}
  Verdict parse(std::string_view buffer);
  const RequestHead& head() const { return head_; }
  void reset();

 private:
  HeadScanner scanner_;
  HeadLimits limits_;
  RequestHead head_;
};

/// The same for a response head. Interim responses (1xx) are heads of their own.
class ResponseParser {
 public:
  explicit ResponseParser(HeadLimits limits = {}) : scanner_(limits), limits_(limits) {}
  Verdict parse(std::string_view buffer);
  const ResponseHead& head() const { return head_; }
  void reset();

 private:
  HeadScanner scanner_;
  HeadLimits limits_;
  ResponseHead head_;
};

}  // namespace causeway::http
