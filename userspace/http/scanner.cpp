#include <algorithm>
#include <cstring>

#include "http/head.h"

namespace causeway::http {

Verdict HeadScanner::scan(std::string_view buffer) {
  const std::size_t end = std::min(buffer.size(), limits_.max_bytes);
  while (scanned_ < end) {
    const void* found = std::memchr(buffer.data() + scanned_, '\n', end - scanned_);
    if (found == nullptr) {
      scanned_ = end;
      break;
    }
    const auto lf = static_cast<std::size_t>(static_cast<const char*>(found) - buffer.data());
    // RFC 9112, 2.2 lets a recipient take a bare LF as a line's end. Not all do, so it is refused.
    if (lf == line_start_ || buffer[lf - 1] != '\r') return bad("a line ends in LF without CR");
    const bool empty_line = lf - 1 == line_start_;
    const bool first_line = line_start_ == 0;
    scanned_ = line_start_ = lf + 1;
    if (!empty_line) {
      if (++lines_ > limits_.max_fields + 1) return bad(kTooManyFields, 431);
    } else if (lines_ > 0) {
      return {Outcome::complete, 0, {}};
    } else if (!first_line) {
      return bad("empty lines stand before the start line");
    }
  }
  if (scanned_ < limits_.max_bytes) return {};
  // RFC 9112, 3 has a status of its own for a target that is too long.
  return lines_ == 0 ? bad("the start line is too long", 414) : bad("the head is too long", 431);
}

void HeadScanner::reset() {
  scanned_ = line_start_ = lines_ = 0;
}

}  // namespace causeway::http
