#include "net/origin.h"

#include <cerrno>

#include <sys/socket.h>

namespace causeway::net {

Result<cw_origin> connection_origin(int accepted_fd) {
  cw_origin origin{};
  socklen_t length = sizeof origin;
  if (::getsockopt(accepted_fd, CW_SOL_CAUSEWAY, CW_SO_ORIGIN, &origin, &length) != 0) {
    return errno_error(errno, "look up the origin of", "connection");
  }
  // A hook of another version could answer with less.
  if (length != sizeof origin)
    return make_error("look up the origin of", "connection", "the kernel part answered with another size");
  return origin;
}

}  // namespace causeway::net
