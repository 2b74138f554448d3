#include "kernel/libbpf_log.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include <bpf/libbpf.h>

namespace causeway::kernel {
namespace {

constexpr std::size_t kKept = 64 * 1024;

thread_local std::string* lines = nullptr;

__attribute__((format(printf, 2, 0))) int keep(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG || lines == nullptr) return 0;
  char text[4096];
  const int length = std::vsnprintf(text, sizeof text, format, arguments);
  if (length <= 0) return 0;
  lines->append(text, std::min(static_cast<std::size_t>(length), sizeof text - 1));
  if (lines->size() > kKept) lines->erase(0, lines->size() - kKept);
  return length;
}

}  // namespace

LibbpfLog::LibbpfLog() {
  libbpf_set_print(keep);
  lines = new std::string;
}

LibbpfLog::~LibbpfLog() {
  delete lines;
  lines = nullptr;
}

std::string LibbpfLog::tail(std::size_t bytes) const {
  if (lines->size() <= bytes) return *lines;
  const std::size_t from = lines->find('\n', lines->size() - bytes);
  return from == std::string::npos ? lines->substr(lines->size() - bytes) : lines->substr(from + 1);
}

}  // namespace causeway::kernel
