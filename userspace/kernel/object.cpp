#include "kernel/object.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>

#include "causeway.skel.h"
#include "kernel/libbpf_log.h"
#include "kernel/pins.h"

namespace causeway::kernel {
namespace {

struct Destroy {
  void operator()(causeway_bpf* skeleton) const { causeway_bpf__destroy(skeleton); }
};
using Skeleton = std::unique_ptr<causeway_bpf, Destroy>;

Result<Fd> duplicate(int fd, const std::string& what) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return errno_error(errno, "duplicate the descriptor of", what);
  return Fd(copy);
}

/// All but its size.
bool fits(int pinned_fd, const bpf_map* map) {
  bpf_map_info info{};
  __u32 size = sizeof info;
  if (bpf_obj_get_info_by_fd(pinned_fd, &info, &size) != 0) return false;
  return info.type == bpf_map__type(map) && info.key_size == bpf_map__key_size(map) &&
         info.value_size == bpf_map__value_size(map) && info.map_flags == bpf_map__map_flags(map);
}

bool is_shared(const bpf_map* map) {
  return !bpf_map__is_internal(map);
}  // .rodata is each load's own

/// Takes over the maps that an earlier agent pinned.
Result<void> reuse_maps(bpf_object* object, const std::string& directory, Object& into) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (!is_shared(map)) continue;
    const std::string path = directory + "/" + bpf_map__name(map);
    const Result<Fd> pinned = open_pin(path);
    if (!pinned) return pinned.error();
    if (!*pinned) continue;
    if (!fits(pinned->get(), map)) {
      if (Result<void> gone = unpin(path); !gone) return gone;
      into.replaced.emplace_back(bpf_map__name(map));
      continue;
    }
    const __u32 wanted = bpf_map__max_entries(map);
    if (const int status = bpf_map__reuse_fd(map, pinned->get()); status < 0)
      return errno_error(-status, "reuse BPF map", path);
    if (bpf_map__max_entries(map) != wanted)
      into.kept_sizes.push_back(
          fmt::format("{} ({} entries, {} asked for)", bpf_map__name(map), bpf_map__max_entries(map), wanted));
  }
  return {};
}

Result<void> pin_maps(bpf_object* object, const std::string& directory) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (!is_shared(map)) continue;
    const std::string path = directory + "/" + bpf_map__name(map);
    const Result<Fd> pinned = open_pin(path);
    if (!pinned) return pinned.error();
    if (*pinned) continue;
    if (Result<void> done = pin(bpf_map__fd(map), path); !done) return done;
  }
  return {};
}

template <class M>
Result<void> take(M& into, const bpf_map* map, const char* holds, const char* setting = "") {
  Result<Fd> fd = duplicate(bpf_map__fd(map), bpf_map__name(map));
  if (!fd) return fd.error();
  into = M(bpf_map__name(map), std::move(*fd), bpf_map__max_entries(map), holds, setting);
  return {};
}

Result<void> take_maps(Maps& maps, const causeway_bpf& skeleton) {
  const auto& from = skeleton.maps;
  for (const Result<void>& taken : {
           take(maps.aliases, from.aliases, "alias addresses (two an alias)", "kernel.max_aliases"),
           take(maps.workloads, from.workloads, "tasks", "kernel.max_tasks"),
           take(maps.workload_ports, from.workload_ports, "ports of tasks", "kernel.max_tasks"),
           take(maps.services, from.services, "services", "kernel.max_services"),
           take(maps.service_states, from.service_states, "services", "kernel.max_services"),
           take(maps.endpoints, from.endpoints, "rows of endpoints", "kernel.max_endpoints"),
           take(maps.lookups, from.lookups, "pieces of maglev tables", "kernel.max_endpoints"),
           take(maps.endpoint_states, from.endpoint_states, "endpoints", "kernel.max_endpoints"),
           take(maps.leaving, from.leaving, "endpoints that left and have connections", "kernel.max_endpoints"),
           take(maps.connections, from.connections, "connections"),
           take(maps.connections_by_cookie, from.connections_by_cookie, "connections"),
           take(maps.path_counters, from.path_counters, "pairs of a service and a client"),
           take(maps.dns_peers, from.dns_peers, "sources of DNS queries"),
           take(maps.heartbeat, from.heartbeat, "heartbeats"),
           take(maps.events, from.events, "bytes of events"),
       }) {
    if (!taken) return taken;
  }
  return {};
}

Result<void> take_programs(std::vector<Program>& programs, const causeway_bpf& skeleton) {
  struct Row {
    bpf_program* program;
    bpf_attach_type type;
    bool agent_only;
  };
  const auto& from = skeleton.progs;
  for (const Row& row : {
           Row{from.getsockopt, BPF_CGROUP_GETSOCKOPT, true},
           Row{from.sock_ops, BPF_CGROUP_SOCK_OPS, false},
           Row{from.egress, BPF_CGROUP_INET_EGRESS, false},
           Row{from.sock_release, BPF_CGROUP_INET_SOCK_RELEASE, false},
           Row{from.getpeername4, BPF_CGROUP_INET4_GETPEERNAME, false},
           Row{from.getpeername6, BPF_CGROUP_INET6_GETPEERNAME, false},
           Row{from.recvmsg4, BPF_CGROUP_UDP4_RECVMSG, false},
           Row{from.recvmsg6, BPF_CGROUP_UDP6_RECVMSG, false},
           Row{from.bind4, BPF_CGROUP_INET4_BIND, false},
           Row{from.bind6, BPF_CGROUP_INET6_BIND, false},
           Row{from.sendmsg4, BPF_CGROUP_UDP4_SENDMSG, false},
           Row{from.sendmsg6, BPF_CGROUP_UDP6_SENDMSG, false},
           Row{from.connect4, BPF_CGROUP_INET4_CONNECT, false},
           Row{from.connect6, BPF_CGROUP_INET6_CONNECT, false},
       }) {
    const char* name = bpf_program__name(row.program);
    Result<Fd> fd = duplicate(bpf_program__fd(row.program), name);
    if (!fd) return fd.error();
    programs.push_back({name, row.type, row.agent_only, std::move(*fd)});
  }
  return {};
}

/// Those that the agent itself runs.
Result<void> take_own_programs(Object& object, const causeway_bpf& skeleton) {
  for (const auto& [program, into] : {std::pair{skeleton.progs.end_connections, &object.end_connections},
                                      std::pair{skeleton.progs.forget_ejection, &object.forget_ejection}}) {
    if (!bpf_program__autoload(program)) continue;
    Result<Fd> fd = duplicate(bpf_program__fd(program), bpf_program__name(program));
    if (!fd) return fd.error();
    *into = std::move(*fd);
  }
  return {};
}

Error load_error(int status, const LibbpfLog& log) {
  constexpr std::size_t kShown = 1500;
  Error error = errno_error(-status, "load", "the BPF programs");
  const std::string words = log.tail(kShown);
  if (status == -EPERM) error.cause += "; root (CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON) is needed";
  if (!words.empty()) error.cause += ":\n" + words;
  return error;
}

Result<void> set_sizes(const causeway_bpf& skeleton, const MapSizes& sizes) {
  const auto& maps = skeleton.maps;
  for (const auto& [map, entries] : {
           std::pair{maps.aliases, 2 * sizes.aliases},
           std::pair{maps.workloads, sizes.tasks},
           std::pair{maps.workload_ports, CW_PORTS_A_WORKLOAD * sizes.tasks},
           std::pair{maps.services, sizes.services},
           std::pair{maps.service_states, sizes.services},
           std::pair{maps.endpoints, CW_ROWS_AN_ENDPOINT * sizes.endpoints},
           std::pair{maps.lookups, std::max(1U, sizes.endpoints / CW_ENDPOINTS_A_PIECE)},
           std::pair{maps.endpoint_states, sizes.endpoints},
           std::pair{maps.leaving, sizes.endpoints},
       }) {
    if (const int status = bpf_map__set_max_entries(map, entries); status < 0)
      return errno_error(-status, "size BPF map", bpf_map__name(map));
  }
  return {};
}

}  // namespace

Result<Object> load_object(const cw_config& config, const MapSizes& sizes, const std::string& pin_root,
                           bool has_sock_destroy) {
  const LibbpfLog log;
  Skeleton skeleton(causeway_bpf__open());
  if (!skeleton) return load_error(-errno, log);
  std::memcpy(&skeleton->rodata->config, &config, sizeof config);
  Object object;
  const std::string directory = maps_directory(pin_root);
  if (Result<void> done = set_sizes(*skeleton, sizes); !done) return done.error();
  if (Result<void> done = reuse_maps(skeleton->obj, directory, object); !done) return done.error();
  bpf_program__set_autoload(skeleton->progs.end_connections, has_sock_destroy);
  if (const int status = causeway_bpf__load(skeleton.get()); status < 0) return load_error(status, log);
  if (Result<void> done = pin_maps(skeleton->obj, directory); !done) return done.error();
  if (Result<void> done = take_maps(object.maps, *skeleton); !done) return done.error();
  if (Result<void> done = take_programs(object.programs, *skeleton); !done) return done.error();
  if (Result<void> done = take_own_programs(object, *skeleton); !done) return done.error();
  skeleton.reset();
  ::malloc_trim(0);  // the kernel's BTF passed through the heap: some 10 MB
  return object;
}

}  // namespace causeway::kernel
