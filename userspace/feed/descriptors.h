#pragma once
// Descriptors over a Unix stream socket (SCM_RIGHTS, unix(7)).
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace causeway::feed {

/// The kernel's SCM_MAX_FD: more cannot go with one message.
inline constexpr std::size_t kMaxDescriptors = 253;

/// Sends `bytes` (not empty, small enough for the socket's buffer) with `fds` attached to their first byte. Does not
/// block: a full socket is an Error.
Result<void> send_with_descriptors(int socket, std::string_view bytes, const std::vector<int>& fds);

struct Received {
  std::string message;
  std::vector<Fd> fds;  ///< close-on-exec
};

/// Reads exactly one frame (frame.h) of at most `limit` bytes with its descriptors, and nothing behind it. Waits at
/// most `timeout`.
Result<Received> receive_frame_with_descriptors(int socket, std::size_t limit, std::chrono::milliseconds timeout);

}  // namespace causeway::feed
