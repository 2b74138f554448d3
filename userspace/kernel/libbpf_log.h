#pragma once
#include <string>

namespace causeway::kernel {

/// Keeps what libbpf prints on this thread while it lives, instead of letting it go to standard error.
class LibbpfLog {
 public:
  LibbpfLog();
  ~LibbpfLog();
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;

  /// The last `bytes` or less, from a line's start.
  std::string tail(std::size_t bytes) const;
};

}  // namespace causeway::kernel
