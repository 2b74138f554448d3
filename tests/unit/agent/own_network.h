#pragma once
// A network that no other process of the machine is in: addresses of tasks may be in use outside.
#include <cstdio>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/fd.h"

namespace causeway::agent {

/// While it lives, this thread's new sockets belong to a network namespace that holds a loopback device alone.
class OwnNetwork {
 public:
  OwnNetwork() : before_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    EXPECT_EQ(::unshare(CLONE_NEWNET), 0) << "root is needed";
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::snprintf(request.ifr_name, sizeof request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    EXPECT_EQ(::ioctl(socket.get(), SIOCSIFFLAGS, &request), 0);
  }
  ~OwnNetwork() { EXPECT_EQ(::setns(before_.get(), CLONE_NEWNET), 0); }
  OwnNetwork(const OwnNetwork&) = delete;
  OwnNetwork& operator=(const OwnNetwork&) = delete;

 private:
  Fd before_;
};

}  // namespace causeway::agent
