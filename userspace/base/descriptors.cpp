#include "base/descriptors.h"

#include <cerrno>
#include <cstring>

#include <fmt/core.h>
#include <sys/socket.h>

namespace causeway {
namespace {

union ControlBuffer {
  cmsghdr align;
  char bytes[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
};

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

}  // namespace

Result<void> send_with_descriptors(int socket, std::string_view bytes, std::span<const int> fds) {
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
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  ssize_t n;
  do {
    n = ::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return errno_error(errno, "hand over", "descriptors");
  if (static_cast<std::size_t>(n) != bytes.size()) return make_error("hand over", "descriptors", "the socket is full");
  return {};
}

ssize_t receive_with_descriptors(int socket, std::span<char> into, std::vector<Fd>& fds) {
  ControlBuffer control{};
  iovec part{into.data(), into.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes;
  header.msg_controllen = sizeof control.bytes;
  ssize_t n;
  do {
    n = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return n;
  collect(header, fds);
  if ((header.msg_flags & MSG_CTRUNC) == 0) return n;
  errno = EMFILE;
  return -1;
}

}  // namespace causeway
