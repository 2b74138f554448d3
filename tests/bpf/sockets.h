#pragma once
// Sockets as applications use them, told in words that a test compares.
#include <string>

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/ip.h"
#include "causeway/abi/origin.h"

namespace causeway::test {

SocketAddress at(const std::string& text);  ///< aborts on a text that is no address

/// `family` AF_INET6 with an IPv4 address dials or binds it v4-mapped.
sockaddr_storage sockaddr_for(const SocketAddress& address, int family, socklen_t& length);

/// "ECONNREFUSED", "EINPROGRESS", "ok" for 0.
std::string error_name(int code);

std::string peer_of(int fd);  ///< getpeername()
std::string name_of(int fd);  ///< getsockname()
int family_of(const SocketAddress& address);

Fd tcp_socket(int family, int protocol = 0);
Fd udp_socket(int family);
int connect_to(const Fd& fd, const SocketAddress& address, int family);
int bind_to(const Fd& fd, const SocketAddress& address, int family);

/// Dials and says "ok PEER", PEER as getpeername() tells, or the error's name.
std::string dial_tcp(const SocketAddress& address, int family);

/// A socket to listen with on an address where an earlier test's connections may be in TIME-WAIT.
Fd server_socket(int family, int protocol = 0);
/// A listener of this process.
Fd listener_on(const SocketAddress& address);
/// The next connection, or an empty Fd after 5 s.
Fd accept_from(const Fd& listener);
/// True if no connection waits.
bool nothing_waits(const Fd& listener);

/// "dst=127.255.0.10:80 family=2 service=10 namespace=1 client=7", or the error's name.
std::string origin_of(const Fd& accepted);

}  // namespace causeway::test
