#include "feed/receive.h"

#include <algorithm>
#include <cerrno>

#include <fmt/core.h>
#include <poll.h>

#include "base/descriptors.h"
#include "feed/frame.h"

namespace causeway::feed {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

Result<void> wait_readable(int socket, Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd poll_fd{socket, POLLIN, 0};
    const int ready = ::poll(&poll_fd, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000)));
    if (ready > 0) return {};
    if (ready == 0) return make_error("receive", "hand-over", "the agent sent nothing in time");
    if (errno != EINTR) return errno_error(errno, "poll", "feed socket");
  }
}

/// Fills `size` bytes; descriptors that come with any of them are kept.
Result<void> read_exactly(int socket, char* data, std::size_t size, std::vector<Fd>& fds, Deadline deadline) {
  while (size > 0) {
    const ssize_t n = receive_with_descriptors(socket, {data, size}, fds);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (auto ready = wait_readable(socket, deadline); !ready) return ready;
      continue;
    }
    if (n < 0 && errno == EMFILE)
      return make_error("receive", "hand-over", "descriptors were lost: raise RLIMIT_NOFILE");
    if (n < 0) return errno_error(errno, "receive", "hand-over");
    if (n == 0) return make_error("receive", "hand-over", "the agent closed the feed before it was complete");
    data += n;
    size -= static_cast<std::size_t>(n);
  }
  return {};
}

}  // namespace

Result<Received> receive_frame_with_descriptors(int socket, std::size_t limit, std::chrono::milliseconds timeout) {
  const Deadline deadline = std::chrono::steady_clock::now() + timeout;
  Received received;
  char header[kFrameHeaderBytes];
  if (auto read = read_exactly(socket, header, sizeof header, received.fds, deadline); !read) return read.error();
  const std::size_t length = read_frame_length(header);
  if (length == 0 || length > limit) {
    return make_error("receive", "hand-over", fmt::format("a frame of {} bytes, allowed are 1 to {}", length, limit));
  }
  received.message.resize(length);
  if (auto read = read_exactly(socket, received.message.data(), length, received.fds, deadline); !read)
    return read.error();
  return received;
}

}  // namespace causeway::feed
