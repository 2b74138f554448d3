#include "observe/access_log.h"

#include "observe/log_writer.h"

namespace causeway::observe {

void AccessLog::write(const AccessRecord& record, const AccessLogSettings& settings) {
  char* const out = ring_.room(kMaxLine);
  wake();
  if (out == nullptr) {
    bump(counters_.access_log_dropped);
    return;
  }
  ring_.commit(format_line(record, settings, time_, out));
  bump(counters_.access_log_lines);
  written_ = true;
}

void AccessLog::tick() {
  ring_.flush();
  if (!std::exchange(written_, false)) ring_.trim();
  wake();
}

void AccessLog::finish() {
  ring_.flush_now();
  wake();
}

void AccessLog::wake() {
  if (ring_.handed_over()) writer_.wake();
}

}  // namespace causeway::observe
