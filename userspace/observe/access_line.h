#pragma once
// One line of the access log. Whatever strangers sent is escaped and cut, so that a line can be neither broken nor
// forged.
#include <array>
#include <cstddef>

#include "model/snapshot.h"
#include "observe/access_record.h"

namespace causeway::observe {

/// No line is longer, its line feed included: PIPE_BUF, so that a pipe takes a line whole or not at all (pipe(7)).
inline constexpr std::size_t kMaxLine = 4096;
/// Of a path, in the line (escaped); what is beyond is cut, and "..." stands for it.
inline constexpr std::size_t kMaxPath = 1536;
/// Of every other text.
inline constexpr std::size_t kMaxText = 192;

/// A wall-clock time in RFC 3339 with milliseconds, UTC. Remembers the second, because the calendar costs more than the
/// rest of a line.
class TimeText {
 public:
  /// 24 characters, valid until the next call.
  std::string_view of(WallTime time);

 private:
  std::int64_t second_ = -1;
  std::array<char, 24> text_{};
};

/// Writes one line, line feed included, to `out`, which has room for kMaxLine bytes; returns its length. `settings` say
/// text or JSON (`off` counts as text) and whether the query is kept. Allocates nothing.
std::size_t format_line(const AccessRecord& record, const AccessLogSettings& settings, TimeText& time, char* out);

}  // namespace causeway::observe
