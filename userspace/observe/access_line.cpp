#include "observe/access_line.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>

#include "observe/utf8.h"

namespace causeway::observe {
namespace {

constexpr std::string_view kCut = "...";
constexpr char kHexDigits[] = "0123456789abcdef";

// Path, seven texts and a method in full length, and what numbers, addresses and names of fields need at most.
static_assert(kMaxPath + kCut.size() + 8 * (kMaxText + kCut.size()) + 900 <= kMaxLine);

/// Stands for itself in both formats: printable ASCII but `"` and `\`.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t c = ' '; c <= '~'; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

/// Writes without looking at the end: every part has a bound, and kMaxLine holds them all.
class Line {
 public:
  explicit Line(char* out) : begin_(out), at_(out) {}

  void raw(std::string_view text) {
    if (text.empty()) return;  // it may have no address
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  void raw(char c) { *at_++ = c; }

  void number(std::uint64_t value) { at_ = std::to_chars(at_, at_ + 20, value).ptr; }

  /// Milliseconds with three digits behind the point.
  void milliseconds(std::chrono::nanoseconds time) {
    const auto us = static_cast<std::uint64_t>(
        std::max<std::int64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count(), 0));
    number(us / 1000);
    const auto rest = static_cast<unsigned>(us % 1000);
    raw('.');
    raw(static_cast<char>('0' + rest / 100));
    raw(static_cast<char>('0' + rest / 10 % 10));
    raw(static_cast<char>('0' + rest % 10));
  }

  void address(const SocketAddress& address) {
    if (address.ip.is_v4()) {
      const std::uint32_t ip = address.ip.to_v4();  // inet_ntop() formats with sprintf()
      for (int shift = 24; shift >= 0; shift -= 8) {
        number(ip >> shift & 255);
        if (shift > 0) raw('.');
      }
    } else {
      char text[INET6_ADDRSTRLEN];
      ::inet_ntop(AF_INET6, address.ip.bytes().data(), text, sizeof text);
      raw('[');
      raw(std::string_view(text));
      raw(']');
    }
    raw(':');
    number(address.port);
  }

  /// Escapes as nginx does: `"`, `\` and every byte that is not printable ASCII as \xHH.
  void text(std::string_view value, std::size_t limit) {
    const char* const end = at_ + limit;
    for (;;) {
      const std::size_t run = plain_run(value);
      if (!copy(value.substr(0, run), end)) return;
      value.remove_prefix(run);
      if (value.empty()) return;
      if (end - at_ < 4) return raw(kCut);
      raw("\\x");
      hex(static_cast<unsigned char>(value.front()), 2);
      value.remove_prefix(1);
    }
  }

  /// The inside of a JSON string (RFC 8259, 7). UTF-8 stays, but for characters that end a line or turn its direction
  /// somewhere; what is not UTF-8 becomes U+FFFD.
  void json(std::string_view value, std::size_t limit) {
    const char* const end = at_ + limit;
    for (;;) {
      const std::size_t run = plain_run(value);
      if (!copy(value.substr(0, run), end)) return;
      value.remove_prefix(run);
      if (value.empty()) return;
      const Utf8 next = decode_utf8(value);
      const bool escaped = is_unsafe(next.code_point);
      if (end - at_ < (escaped ? 6 : static_cast<std::ptrdiff_t>(next.bytes))) return raw(kCut);
      if (next.code_point == '"' || next.code_point == '\\') {
        raw('\\');
        raw(value.front());
      } else if (escaped) {
        raw("\\u");
        hex(next.code_point, 4);
      } else {
        raw(value.substr(0, next.bytes));
      }
      value.remove_prefix(next.bytes);
    }
  }

  std::size_t size() const { return static_cast<std::size_t>(at_ - begin_); }

 private:
  static std::size_t plain_run(std::string_view value) {
    std::size_t n = 0;
    while (n < value.size() && kPlain[static_cast<unsigned char>(value[n])]) ++n;
    return n;
  }

  /// False: it was cut.
  bool copy(std::string_view part, const char* end) {
    const auto room = static_cast<std::size_t>(end - at_);
    raw(part.substr(0, room));
    if (part.size() <= room) return true;
    raw(kCut);
    return false;
  }

  void hex(std::uint32_t value, int digits) {
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) raw(kHexDigits[value >> shift & 15]);
  }

  char* begin_;
  char* at_;
};

std::string_view shown_path(const AccessRecord& record, const AccessLogSettings& settings) {
  if (settings.query) return record.path;
  return record.path.substr(0, record.path.find('?'));
}

/// An absolute-form target may have a query and no path.
bool lacks_slash(const AccessRecord& record, std::string_view shown) {
  return !record.path.empty() && (shown.empty() || shown.front() == '?');
}

void append_flags(Line& line, Flags flags, std::string_view before, std::string_view between, std::string_view after) {
  bool first = true;
  for (std::size_t i = 0; i < static_cast<std::size_t>(Flag::count); ++i) {
    const auto flag = static_cast<Flag>(i);
    if (!flags.has(flag)) continue;
    line.raw(first ? before : between);
    line.raw(name_of(flag));
    first = false;
  }
  if (!first) line.raw(after);
}

void word(Line& line, std::string_view value, std::size_t limit = kMaxText) {
  if (value.empty()) return line.raw('-');
  line.text(value, limit);
}

void quoted(Line& line, std::string_view value) {
  line.raw(" \"");
  word(line, value);
  line.raw('"');
}

void place(Line& line, const std::optional<SocketAddress>& address) {
  line.raw(' ');
  if (!address) return line.raw('-');
  line.address(*address);
}

void text_line(Line& line, const AccessRecord& r, const AccessLogSettings& settings, TimeText& time) {
  line.raw('[');
  line.raw(time.of(r.start));
  line.raw("] \"");
  word(line, r.method);
  line.raw(' ');
  const auto path = shown_path(r, settings);
  if (lacks_slash(r, path)) {
    line.raw('/');
    line.text(path, kMaxPath - 1);
  } else {
    word(line, path, kMaxPath);
  }
  line.raw(' ');
  word(line, r.protocol);
  line.raw("\" ");
  line.number(r.status);
  line.raw(' ');
  if (r.flags.none()) line.raw('-');
  append_flags(line, r.flags, "", ",", "");
  quoted(line, r.reason);
  line.raw(' ');
  line.number(r.bytes_received);
  line.raw(' ');
  line.number(r.bytes_sent);
  line.raw(' ');
  line.milliseconds(r.duration);
  line.raw(' ');
  if (r.first_byte) {
    line.milliseconds(*r.first_byte);
  } else {
    line.raw('-');
  }
  line.raw(' ');
  line.number(r.retries);
  for (const auto value : {r.client, r.namespace_name, r.discovery_name, r.authority, r.request_id})
    quoted(line, value);
  place(line, r.peer);
  place(line, r.upstream);
  line.raw('\n');
}

void name(Line& line, std::string_view key) {
  line.raw(",\"");
  line.raw(key);
  line.raw("\":");
}

void string(Line& line, std::string_view key, std::string_view value) {
  name(line, key);
  if (value.empty()) return line.raw("null");
  line.raw('"');
  line.json(value, kMaxText);
  line.raw('"');
}

void integer(Line& line, std::string_view key, std::uint64_t value) {
  name(line, key);
  line.number(value);
}

void address(Line& line, std::string_view key, const std::optional<SocketAddress>& value) {
  name(line, key);
  if (!value) return line.raw("null");
  line.raw('"');
  line.address(*value);
  line.raw('"');
}

void json_path(Line& line, const AccessRecord& r, const AccessLogSettings& settings) {
  name(line, "path");
  if (r.path.empty()) return line.raw("null");
  const auto path = shown_path(r, settings);
  line.raw('"');
  if (lacks_slash(r, path)) line.raw('/');
  line.json(path, kMaxPath - 1);
  line.raw('"');
}

void json_line(Line& line, const AccessRecord& r, const AccessLogSettings& settings, TimeText& time) {
  line.raw("{\"start_time\":\"");
  line.raw(time.of(r.start));
  line.raw('"');
  string(line, "method", r.method);
  json_path(line, r, settings);
  string(line, "protocol", r.protocol);
  integer(line, "status", r.status);
  name(line, "flags");
  line.raw('[');
  append_flags(line, r.flags, "\"", "\",\"", "\"");
  line.raw(']');
  string(line, "reason", r.reason);
  integer(line, "bytes_received", r.bytes_received);
  integer(line, "bytes_sent", r.bytes_sent);
  name(line, "duration_ms");
  line.milliseconds(r.duration);
  name(line, "first_byte_ms");
  if (r.first_byte) {
    line.milliseconds(*r.first_byte);
  } else {
    line.raw("null");
  }
  integer(line, "retries", r.retries);
  string(line, "client", r.client);
  string(line, "namespace", r.namespace_name);
  string(line, "discovery_name", r.discovery_name);
  string(line, "authority", r.authority);
  string(line, "request_id", r.request_id);
  address(line, "peer", r.peer);
  address(line, "upstream", r.upstream);
  line.raw("}\n");
}

void put_digits(char* at, unsigned value, int digits) {
  for (int i = digits - 1; i >= 0; --i, value /= 10) at[i] = static_cast<char>('0' + value % 10);
}

}  // namespace

std::string_view TimeText::of(WallTime time) {
  using namespace std::chrono;
  const auto ms = floor<milliseconds>(time.time_since_epoch()).count();
  const std::int64_t second = ms >= 0 ? ms / 1000 : 0;
  if (second != second_) {
    second_ = second;
    const sys_seconds at{seconds(second)};
    const auto day = floor<days>(at);
    const year_month_day date(day);
    const hh_mm_ss clock(at - day);
    text_ = {'0', '0', '0', '0', '-', '0', '0', '-', '0', '0', 'T', '0',
             '0', ':', '0', '0', ':', '0', '0', '.', '0', '0', '0', 'Z'};
    put_digits(&text_[0], static_cast<unsigned>(static_cast<int>(date.year())), 4);
    put_digits(&text_[5], static_cast<unsigned>(date.month()), 2);
    put_digits(&text_[8], static_cast<unsigned>(date.day()), 2);
    put_digits(&text_[11], static_cast<unsigned>(clock.hours().count()), 2);
    put_digits(&text_[14], static_cast<unsigned>(clock.minutes().count()), 2);
    put_digits(&text_[17], static_cast<unsigned>(clock.seconds().count()), 2);
  }
  put_digits(&text_[20], static_cast<unsigned>(ms >= 0 ? ms % 1000 : 0), 3);
  return {text_.data(), text_.size()};
}

std::size_t format_line(const AccessRecord& record, const AccessLogSettings& settings, TimeText& time, char* out) {
  Line line(out);
  if (settings.format == AccessLogFormat::json) {
    json_line(line, record, settings, time);
  } else {
    text_line(line, record, settings, time);
  }
  return line.size();
}

}  // namespace causeway::observe
