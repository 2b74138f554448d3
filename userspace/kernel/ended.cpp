#include "kernel/ended.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include <bpf/bpf.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "causeway/abi/connection.h"

namespace causeway::kernel {
namespace {

constexpr timeval kNetlinkWithin{2, 0};
/// SYN_SENT, ESTABLISHED and all that follow but TIME_WAIT, CLOSE and LISTEN.
constexpr std::uint32_t kAliveStates = 1u << 1 | 1u << 2 | 1u << 4 | 1u << 5 | 1u << 8 | 1u << 9 | 1u << 11;

struct DumpRequest {
  nlmsghdr header;
  inet_diag_req_v2 body;
  rtattr storages;
  rtattr storage;
  std::uint32_t map_fd;
};
static_assert(sizeof(DumpRequest) == NLMSG_LENGTH(sizeof(inet_diag_req_v2)) + 2 * RTA_LENGTH(0) + 4);

struct DestroyRequest {
  nlmsghdr header;
  inet_diag_req_v2 body;
};

DumpRequest dump_request(int family, int connections_fd) {
  DumpRequest request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.sdiag_family = static_cast<std::uint8_t>(family);
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = kAliveStates;
  request.storages.rta_type = INET_DIAG_REQ_SK_BPF_STORAGES | NLA_F_NESTED;
  request.storages.rta_len = RTA_LENGTH(RTA_LENGTH(sizeof request.map_fd));
  request.storage.rta_type = SK_DIAG_BPF_STORAGE_REQ_MAP_FD;
  request.storage.rta_len = RTA_LENGTH(sizeof request.map_fd);
  request.map_fd = static_cast<std::uint32_t>(connections_fd);
  return request;
}

DestroyRequest destroy_request(const inet_diag_msg& socket) {
  DestroyRequest request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DESTROY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request.body.sdiag_family = socket.idiag_family;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = kAliveStates;
  request.body.id = socket.id;  // its cookie makes sure that no other took the tuple meanwhile
  return request;
}

Result<Fd> open_sock_diag() {
  Fd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!netlink) return errno_error(errno, "open netlink socket for", "sock_diag");
  ::setsockopt(netlink.get(), SOL_SOCKET, SO_RCVTIMEO, &kNetlinkWithin, sizeof kNetlinkWithin);
  return netlink;
}

/// The attribute's payload, if one of that type is among them and has at least `size` bytes.
const char* find_attribute(const char* at, std::size_t length, int type, std::size_t size, std::size_t& found_length) {
  while (length >= sizeof(rtattr)) {
    rtattr header{};
    std::memcpy(&header, at, sizeof header);
    if (header.rta_len < sizeof header || header.rta_len > length) return nullptr;
    if ((header.rta_type & NLA_TYPE_MASK) == type && header.rta_len >= RTA_LENGTH(size)) {
      found_length = header.rta_len - RTA_LENGTH(0);
      return at + RTA_LENGTH(0);
    }
    const std::size_t step = std::min<std::size_t>(RTA_ALIGN(header.rta_len), length);
    at += step;
    length -= step;
  }
  return nullptr;
}

struct Found {
  inet_diag_msg socket;
  std::uint32_t endpoint_id;
};

/// A socket of the dump, if it is a connection of ours.
bool read_connection(const char* payload, std::size_t length, const EndpointsByCookie& by_cookie, Found& found) {
  if (length < sizeof found.socket) return false;
  std::memcpy(&found.socket, payload, sizeof found.socket);
  // Without an inode its process has closed it: it ends by itself, unless it is disturbed.
  if (found.socket.idiag_inode == 0) return false;
  const auto* cookie = found.socket.id.idiag_cookie;
  if (const auto known = by_cookie.find(std::uint64_t{cookie[1]} << 32 | cookie[0]); known != by_cookie.end()) {
    found.endpoint_id = known->second;
    return true;
  }
  const std::size_t begin = NLMSG_ALIGN(sizeof found.socket);
  if (length < begin) return false;
  std::size_t inner = 0, value_length = 0;
  const char* at = find_attribute(payload + begin, length - begin, INET_DIAG_SK_BPF_STORAGES, 0, inner);
  if (at != nullptr) at = find_attribute(at, inner, SK_DIAG_BPF_STORAGE, 0, inner);
  if (at != nullptr) at = find_attribute(at, inner, SK_DIAG_BPF_STORAGE_MAP_VALUE, sizeof(cw_connection), value_length);
  if (at == nullptr) return false;
  cw_connection connection{};
  std::memcpy(&connection, at, sizeof connection);
  found.endpoint_id = connection.endpoint_id;
  return connection.owner_and_phase % CW_PHASES >= CW_CONNECTING;
}

/// An answer's error code, 0 for an acknowledgement.
int error_of(const nlmsghdr* header) {
  nlmsgerr error{};
  if (header->nlmsg_len < NLMSG_LENGTH(sizeof error)) return EPROTO;
  std::memcpy(&error, reinterpret_cast<const char*>(header) + NLMSG_HDRLEN, sizeof error);
  return -error.error;
}

/// A dump's end has one too.
int error_of_end(const nlmsghdr* header) {
  int error = 0;
  if (header->nlmsg_len < NLMSG_LENGTH(sizeof error)) return 0;
  std::memcpy(&error, reinterpret_cast<const char*>(header) + NLMSG_HDRLEN, sizeof error);
  return -error;
}

Result<void> dump_connections(int family, int connections_fd, const EndpointsByCookie& by_cookie,
                              std::vector<Found>& found) {
  const Result<Fd> netlink = open_sock_diag();
  if (!netlink) return netlink.error();
  const DumpRequest request = dump_request(family, connections_fd);
  if (::send(netlink->get(), &request, sizeof request, 0) < 0)
    return errno_error(errno, "ask sock_diag for", "connections");
  alignas(nlmsghdr) static thread_local std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t got = ::recv(netlink->get(), buffer.data(), buffer.size(), 0);
    if (got < 0) return errno_error(errno, "read sock_diag's list of", "connections");
    auto length = static_cast<std::uint32_t>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(header, length);
         header = NLMSG_NEXT(header, length)) {
      if (header->nlmsg_type == NLMSG_DONE) {
        const int error = error_of_end(header);
        if (error == 0) return {};
        return errno_error(error, "read sock_diag's list of", "connections");
      }
      if (header->nlmsg_type == NLMSG_ERROR)
        return errno_error(error_of(header), "ask sock_diag for", "connections with their BPF storage");
      Found one{};
      const char* payload = reinterpret_cast<const char*>(header) + NLMSG_HDRLEN;
      if (read_connection(payload, header->nlmsg_len - NLMSG_HDRLEN, by_cookie, one)) found.push_back(one);
    }
  }
}

/// 0, or an errno; ENOENT: it ended by itself meanwhile.
int destroy(int netlink, const inet_diag_msg& socket) {
  const DestroyRequest request = destroy_request(socket);
  if (::send(netlink, &request, sizeof request, 0) < 0) return errno;
  alignas(nlmsghdr) std::array<char, 1024> answer{};
  const ssize_t got = ::recv(netlink, answer.data(), answer.size(), 0);
  if (got < 0) return errno;
  const auto* header = reinterpret_cast<const nlmsghdr*>(answer.data());
  if (!NLMSG_OK(header, static_cast<std::size_t>(got)) || header->nlmsg_type != NLMSG_ERROR) return EPROTO;
  return error_of(header);
}

}  // namespace

Result<Ended> end_by_program(int program_fd) {
  const Fd link(bpf_link_create(program_fd, 0, BPF_TRACE_ITER, nullptr));
  if (!link) return errno_error(-link.get(), "attach BPF iterator", "end_connections");
  const Fd walk(bpf_iter_create(link.get()));
  if (!walk) return errno_error(-walk.get(), "begin BPF iterator", "end_connections");
  Ended ended;
  std::array<std::uint32_t, 4096> ids{};
  for (;;) {
    const ssize_t got = ::read(walk.get(), ids.data(), sizeof ids);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got < 0) return errno_error(errno, "run BPF iterator", "end_connections");
    if (got == 0) return ended;
    for (std::size_t i = 0; i < static_cast<std::size_t>(got) / sizeof ids[0]; ++i) ++ended[ids[i]];
  }
}

Result<Ended> end_by_netlink(int connections_fd, const EndpointsByCookie& by_cookie,
                             const std::function<bool(std::uint32_t)>& has_to_end) {
  std::vector<Found> found;
  for (const int family : {AF_INET, AF_INET6}) {
    if (Result<void> done = dump_connections(family, connections_fd, by_cookie, found); !done) return done.error();
  }
  const Result<Fd> netlink = open_sock_diag();
  if (!netlink) return netlink.error();
  Ended ended;
  for (const Found& each : found) {
    if (!has_to_end(each.endpoint_id)) continue;
    const int error = destroy(netlink->get(), each.socket);
    if (error == 0) {
      ++ended[each.endpoint_id];
    } else if (error != ENOENT) {
      log::warn("{}", errno_error(error, "end by sock_diag", "a connection to an endpoint that left").message());
    }
  }
  return ended;  // what was not ended is looked at again
}

bool has_netlink_destroy() {
  const Result<Fd> netlink = open_sock_diag();
  if (!netlink) return false;
  inet_diag_msg nobody{};  // port 0, cookie 0
  nobody.idiag_family = AF_INET;
  return destroy(netlink->get(), nobody) == ENOENT;
}

}  // namespace causeway::kernel
