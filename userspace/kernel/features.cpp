// What this kernel gives, found by loading the smallest program or map that needs it: version numbers lie on kernels
// with backports, and libbpf's own helper probe asks about program types only (it grants bpf_sk_lookup_tcp to sockops).
#include <array>
#include <cerrno>
#include <cstring>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/ended.h"
#include "kernel/insn.h"
#include "kernel/plane.h"
#include "kernel/probe.h"

namespace causeway::kernel {
namespace {

using Program = std::vector<bpf_insn>;

struct ProgramProbe {
  const char* name;
  bpf_prog_type type;
  bpf_attach_type attach;
  Program program;
  const char* enables;
  std::uint32_t attach_type_id = 0;  ///< of the kernel's function, for BPF_PROG_TYPE_TRACING
};

const Program kPass{insn::set(0, 1), insn::exit()};
const Program kSetRetval{insn::set(1, -ECONNREFUSED), insn::call(BPF_FUNC_set_retval), insn::set(0, 0), insn::exit()};
const Program kNetnsCookie{insn::call(BPF_FUNC_get_netns_cookie), insn::set(0, 1), insn::exit()};
const Program kCurrentTask{insn::call(BPF_FUNC_get_current_task), insn::set(0, 1), insn::exit()};
const Program kAncestor{insn::set(1, 1), insn::call(BPF_FUNC_get_current_ancestor_cgroup_id), insn::set(0, 1),
                        insn::exit()};

/// A helper on the context's socket, which may be absent: bpf_sock_addr has it at one place, bpf_sock_ops at another.
Program on_socket(int offset, int helper) {
  return {insn::load(BPF_DW, 1, 1, offset), insn::jump_equal(1, 0, 1), insn::call(helper), insn::set(0, 1),
          insn::exit()};
}

Program storage_of_socket(int offset, int map_fd) {
  return {insn::load(BPF_DW, 2, 1, offset),
          insn::jump_equal(2, 0, 5),
          insn::load_map(1, map_fd),
          insn::second_half(),
          insn::set(3, 0),
          insn::set(4, 0),
          insn::call(BPF_FUNC_sk_storage_get),
          insn::set(0, 1),
          insn::exit()};
}

/// Where the context is the socket.
Program storage_of_context(int map_fd) {
  return {insn::move(2, 1), insn::load_map(1, map_fd),           insn::second_half(), insn::set(3, 0),
          insn::set(4, 0),  insn::call(BPF_FUNC_sk_storage_get), insn::set(0, 1),     insn::exit()};
}

constexpr int kSockAddrSk = offsetof(bpf_sock_addr, sk);
constexpr int kSockOpsSk = offsetof(bpf_sock_ops, sk);
constexpr int kSkbSk = offsetof(__sk_buff, sk);
constexpr int kSockoptSk = offsetof(bpf_sockopt, sk);

std::string last_lines(const char* log) {
  std::string text(log);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  constexpr std::size_t kShown = 200;
  return text.size() > kShown ? text.substr(text.size() - kShown) : text;
}

Feature probe(const ProgramProbe& p) {
  std::array<char, 8192> log{};
  LIBBPF_OPTS(bpf_prog_load_opts, options);
  options.expected_attach_type = p.attach;
  options.attach_btf_id = p.attach_type_id;
  Feature feature{p.name, false, p.enables, {}};
  int fd = bpf_prog_load(p.type, "cw_probe", "GPL", p.program.data(), p.program.size(), &options);
  if (fd < 0) {  // once more for the verifier's words: with a log it is slower
    options.log_level = 1;
    options.log_buf = log.data();
    options.log_size = log.size();
    fd = bpf_prog_load(p.type, "cw_probe", "GPL", p.program.data(), p.program.size(), &options);
  }
  feature.available = fd >= 0;
  if (fd >= 0) {
    ::close(fd);
  } else {
    feature.detail = strerrordesc_np(-fd);
    if (log[0] != '\0') feature.detail += ": " + last_lines(log.data());
  }
  return feature;
}

/// A socket-storage map wants its types described.
Fd make_storage_map() {
  btf* types = btf__new_empty();
  if (types == nullptr) return Fd();
  const int integer = btf__add_int(types, "int", 4, BTF_INT_SIGNED);
  __u32 size = 0;
  const void* raw = btf__raw_data(types, &size);
  const Fd btf_fd(raw == nullptr ? -1 : bpf_btf_load(raw, size, nullptr));
  LIBBPF_OPTS(bpf_map_create_opts, options);
  options.map_flags = BPF_F_NO_PREALLOC;
  options.btf_fd = static_cast<__u32>(btf_fd.get());
  options.btf_key_type_id = static_cast<__u32>(integer);
  options.btf_value_type_id = static_cast<__u32>(integer);
  Fd map(btf_fd ? bpf_map_create(BPF_MAP_TYPE_SK_STORAGE, "cw_probe", 4, 4, 0, &options) : -1);
  btf__free(types);
  return map;
}

Feature map_feature(const char* name, bpf_map_type type, std::uint32_t key, std::uint32_t value, std::uint32_t entries,
                    std::uint32_t flags, const char* enables) {
  LIBBPF_OPTS(bpf_map_create_opts, options);
  options.map_flags = flags;
  const int fd = bpf_map_create(type, "cw_probe", key, value, entries, &options);
  if (fd >= 0) ::close(fd);
  return {name, fd >= 0, enables, fd >= 0 ? "" : strerrordesc_np(-fd)};
}

Feature kernel_types() {
  const bool there = ::access("/sys/kernel/btf/vmlinux", R_OK) == 0;
  return {"kernel BTF", there, "loading the programs: they find the kernel's fields by name",
          there ? "" : "/sys/kernel/btf/vmlinux is missing: the kernel needs CONFIG_DEBUG_INFO_BTF"};
}

constexpr const char* kSockDestroy = "bpf_sock_destroy in a TCP iterator";
constexpr const char* kNetlinkDestroy = "SOCK_DESTROY by sock_diag";
constexpr const char* kEnds = "connections to endpoints that left are ended";

/// A TCP iterator that destroys what it meets; it is never run.
Feature sock_destroy() {
  btf* types = btf__load_vmlinux_btf();
  const int function = types ? btf__find_by_name_kind(types, "bpf_sock_destroy", BTF_KIND_FUNC) : -ENOENT;
  const int iterator = types ? btf__find_by_name_kind(types, "bpf_iter_tcp", BTF_KIND_FUNC) : -ENOENT;
  btf__free(types);
  if (function < 0 || iterator < 0) return {kSockDestroy, false, kEnds, "this kernel has none (Linux 6.5 has)"};
  return probe({kSockDestroy,
                BPF_PROG_TYPE_TRACING,
                BPF_TRACE_ITER,
                {insn::load(BPF_DW, 1, 1, 8), insn::jump_equal(1, 0, 1), insn::call_kernel(function), insn::set(0, 0),
                 insn::exit()},
                kEnds,
                static_cast<std::uint32_t>(iterator)});
}

Feature netlink_destroy() {
  const bool there = has_netlink_destroy();
  return {kNetlinkDestroy, there, std::string(kEnds) + ", where the former is missing",
          there ? "" : "the kernel needs CONFIG_INET_DIAG_DESTROY"};
}

std::vector<Feature> find_features() {
  std::vector<Feature> features{kernel_types()};
  const auto address = BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
  const auto ops = BPF_PROG_TYPE_SOCK_OPS;
  const Fd storage = make_storage_map();
  const std::vector<ProgramProbe> probes{
      {"cgroup/connect4", address, BPF_CGROUP_INET4_CONNECT, kPass, "interception over IPv4"},
      {"cgroup/connect6", address, BPF_CGROUP_INET6_CONNECT, kPass, "interception over IPv6"},
      {"cgroup/getpeername4", address, BPF_CGROUP_INET4_GETPEERNAME, kPass,
       "applications see what they dialled (IPv4)"},
      {"cgroup/getpeername6", address, BPF_CGROUP_INET6_GETPEERNAME, kPass,
       "applications see what they dialled (IPv6)"},
      {"cgroup/sendmsg4", address, BPF_CGROUP_UDP4_SENDMSG, kPass, "DNS capture (IPv4)"},
      {"cgroup/sendmsg6", address, BPF_CGROUP_UDP6_SENDMSG, kPass, "DNS capture (IPv6)"},
      {"cgroup/recvmsg4", address, BPF_CGROUP_UDP4_RECVMSG, kPass, "DNS capture (IPv4)"},
      {"cgroup/recvmsg6", address, BPF_CGROUP_UDP6_RECVMSG, kPass, "DNS capture (IPv6)"},
      {"cgroup/bind4", address, BPF_CGROUP_INET4_BIND, kPass, "several tasks on one port (IPv4)"},
      {"cgroup/bind6", address, BPF_CGROUP_INET6_BIND, kPass, "several tasks on one port (IPv6)"},
      {"cgroup/getsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_GETSOCKOPT, kPass,
       "the proxy learns what was dialled"},
      {"cgroup/sock_release", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_RELEASE,
       storage_of_context(storage.get()), "the end of connections on the kernel path"},
      {"sockops", ops, BPF_CGROUP_SOCK_OPS, kPass, "the proxy learns what was dialled; LISTEN of tasks"},
      {"cgroup_skb/egress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, kPass, "DNS learns who asked"},
      {"bpf_set_retval in connect", address, BPF_CGROUP_INET4_CONNECT, kSetRetval,
       "refusals are ECONNREFUSED (without it EPERM)"},
      {"network namespace cookie in connect", address, BPF_CGROUP_INET4_CONNECT, kNetnsCookie,
       "other namespaces are left alone"},
      {"network namespace cookie in sockops", ops, BPF_CGROUP_SOCK_OPS, kNetnsCookie,
       "the proxy learns what was dialled"},
      {"current task in connect", address, BPF_CGROUP_INET4_CONNECT, kCurrentTask,
       "kernel sockets (NFS, SMB) are left alone"},
      {"ancestor cgroup in connect", address, BPF_CGROUP_INET4_CONNECT, kAncestor, "tasks are told apart"},
      {"MPTCP sockets in connect", address, BPF_CGROUP_INET4_CONNECT,
       on_socket(kSockAddrSk, BPF_FUNC_skc_to_mptcp_sock), "interception of MPTCP sockets"},
      {"MPTCP sockets in sockops", ops, BPF_CGROUP_SOCK_OPS, on_socket(kSockOpsSk, BPF_FUNC_skc_to_mptcp_sock),
       "interception of MPTCP sockets"},
      {"TCP sockets in connect", address, BPF_CGROUP_INET4_CONNECT, on_socket(kSockAddrSk, BPF_FUNC_skc_to_tcp_sock),
       "connections on the kernel path"},
      {"TCP sockets in sockops", ops, BPF_CGROUP_SOCK_OPS, on_socket(kSockOpsSk, BPF_FUNC_skc_to_tcp_sock),
       "connections on the kernel path"},
      {"socket storage in connect", address, BPF_CGROUP_INET4_CONNECT, storage_of_socket(kSockAddrSk, storage.get()),
       "state of connections"},
      {"socket storage in sockops", ops, BPF_CGROUP_SOCK_OPS, storage_of_socket(kSockOpsSk, storage.get()),
       "state of connections"},
      {"socket storage in getsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_GETSOCKOPT,
       storage_of_socket(kSockoptSk, storage.get()), "the proxy learns what was dialled"},
  };
  for (const ProgramProbe& p : probes) features.push_back(probe(p));
  features.push_back(sock_destroy());
  features.push_back(netlink_destroy());
  features.push_back(map_feature("ring buffer", BPF_MAP_TYPE_RINGBUF, 0, 0, 4096, 0, "LISTEN of tasks"));
  features.push_back(
      map_feature("memory-mapped array", BPF_MAP_TYPE_ARRAY, 4, 64, 1, BPF_F_MMAPABLE, "liveness of proxy and DNS"));
  return features;
}

bool has(const char* name) {
  for (const Feature& feature : features()) {
    if (feature.name == name) return feature.available;
  }
  return false;
}

}  // namespace

const std::vector<Feature>& features() {
  static const std::vector<Feature> found = find_features();
  return found;
}

OptionalHelpers optional_helpers() {
  return {has("bpf_set_retval in connect"), has("MPTCP sockets in connect") && has("MPTCP sockets in sockops"),
          has(kSockDestroy)};
}

}  // namespace causeway::kernel
