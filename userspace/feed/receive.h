#pragma once
// The hand-over as it comes: one frame with descriptors.
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace causeway::feed {

struct Received {
  std::string message;
  std::vector<Fd> fds;  ///< close-on-exec
};

/// Reads exactly one frame (frame.h) of at most `limit` bytes with its descriptors, and nothing behind it. Waits at
/// most `timeout`.
Result<Received> receive_frame_with_descriptors(int socket, std::size_t limit, std::chrono::milliseconds timeout);

}  // namespace causeway::feed
