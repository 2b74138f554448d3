#include "feed/descriptors.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>

#include "feed/frame.h"

namespace causeway::feed {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

union ControlBuffer {
  cmsghdr align;
  char bytes[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
};

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

void collect(msghdr& header, std::vector<Fd>& fds) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr; control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
}

/// Fills `size` bytes; descriptors that come with any of them are kept.
Result<void> read_exactly(int socket, char* data, std::size_t size, std::vector<Fd>& fds, Deadline deadline) {
  while (size > 0) {
    ControlBuffer control;
    iovec part{data, size};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.bytes;
    header.msg_controllen = sizeof control.bytes;
    const ssize_t n = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (auto ready = wait_readable(socket, deadline); !ready) return ready;
      continue;
    }
    if (n < 0) return errno_error(errno, "receive", "hand-over");
    collect(header, fds);
    if (n == 0) return make_error("receive", "hand-over", "the agent closed the feed before it was complete");
    if ((header.msg_flags & MSG_CTRUNC) != 0)
      return make_error("receive", "hand-over", "descriptors were lost: raise RLIMIT_NOFILE");
    data += n;
    size -= static_cast<std::size_t>(n);
  }
  return {};
}

}  // namespace

Result<void> send_with_descriptors(int socket, std::string_view bytes, const std::vector<int>& fds) {
  if (fds.size() > kMaxDescriptors) {
    return make_error("hand over", "descriptors",
                      fmt::format("{} are more than the kernel's {}", fds.size(), kMaxDescriptors));
  }
  ControlBuffer control{};
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.bytes;
    header.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
  }
  ssize_t n;
  do {
    n = ::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return errno_error(errno, "hand over", "descriptors");
  if (static_cast<std::size_t>(n) != bytes.size())
    return make_error("hand over", "descriptors", "the feed's socket is full");
  return {};
}

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
