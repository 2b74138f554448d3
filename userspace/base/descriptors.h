#pragma once
// Descriptors over a Unix socket (SCM_RIGHTS, unix(7)).
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"

namespace causeway {

/// The kernel's SCM_MAX_FD: more cannot go with one message.
inline constexpr std::size_t kMaxDescriptors = 253;

/// Sends `bytes` (not empty, small enough for the socket's buffer) with `fds` attached to their first byte. Does not
/// block: a full socket is an Error.
Result<void> send_with_descriptors(int socket, std::string_view bytes, std::span<const int> fds);

/// Like recv(2) with MSG_DONTWAIT; descriptors that come with the bytes are added to `fds`, close-on-exec. EMFILE: some
/// were lost, as the process may have no more.
ssize_t receive_with_descriptors(int socket, std::span<char> into, std::vector<Fd>& fds);

}  // namespace causeway
