/* Whose socket it is: ours to serve or not, and which task's. */
#pragma once

#include "causeway/abi/maps.h"
#include "sock_addr.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, CW_MAX_WORKLOADS);
  __type(key, __u64);
  __type(value, struct cw_workload);
} workloads __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, CW_MAX_WORKLOAD_PORTS);
  __type(key, struct cw_workload_port_key);
  __type(value, __u32);
} workload_ports __weak SEC(".maps");

struct client {
  __u64 cgroup_id; /* of the task; 0: the host */
  __u32 namespace_number;
  __u32 client_id;
};

static __always_inline int in_our_netns(void* ctx) {
  return bpf_get_netns_cookie(ctx) == config.netns_cookie;
}

/* Of a TCP socket without the cost of a probe. */
static __always_inline int made_by_kernel(struct bpf_sock_addr* ctx) {
  const struct tcp_sock* tcp = ctx->sk ? bpf_skc_to_tcp_sock(ctx->sk) : NULL;
  if (tcp) {
    const struct sock* sk = (const struct sock*)tcp;
    return (int)BPF_CORE_READ_BITFIELD(sk, sk_kern_sock);
  }
  struct sock* sk = ctx_kernel_sock(ctx);
  return (int)BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock);
}

/* NFS, SMB, Ceph and their like. They connect from kernel threads or, on mount, in the mounting process's context: the
 * socket tells, the thread alone does not. An MPTCP subflow is a kernel socket too, but an application's. */
static __always_inline int is_kernel_socket(struct bpf_sock_addr* ctx) {
  struct task_struct* task = (void*)bpf_get_current_task();
  if (BPF_CORE_READ(task, flags) & PF_KTHREAD) return 1;
  if (!made_by_kernel(ctx)) return 0;
  return !(config.has_mptcp && ctx->sk && bpf_skc_to_mptcp_sock(ctx->sk));
}

static __always_inline int is_agent(void) {
  return bpf_get_current_ancestor_cgroup_id((int)config.agent_level) == config.agent_cgroup_id;
}

/* False: a socket to leave alone. */
static __always_inline int is_ours(struct bpf_sock_addr* ctx) {
  return in_our_netns(ctx) && !is_agent() && !is_kernel_socket(ctx);
}

/* The task whose cgroup, or a cgroup below, the caller runs in; NULL for the host. */
static __always_inline const struct cw_workload* current_workload(__u64* cgroup_id) {
  *cgroup_id = bpf_get_current_ancestor_cgroup_id((int)config.tasks_level + 1);
  return *cgroup_id ? bpf_map_lookup_elem(&workloads, cgroup_id) : NULL;
}

static __always_inline struct client current_client(void) {
  struct client client = {0, CW_NAMESPACE_EVERY, 0};
  __u64 cgroup_id;
  const struct cw_workload* workload = current_workload(&cgroup_id);
  if (workload) {
    client.cgroup_id = cgroup_id;
    client.namespace_number = workload->namespace_number;
    client.client_id = workload->client_id;
  } else if (bpf_get_current_ancestor_cgroup_id((int)config.tasks_level) == config.tasks_cgroup_id) {
    client.namespace_number = CW_NAMESPACE_NONE; /* a task that we were not told of yet must not pass for the host */
  }
  return client;
}

static __always_inline int workload_has_port(__u64 cgroup_id, __be16 port) {
  struct cw_workload_port_key key = {};
  key.cgroup_id = cgroup_id;
  key.port = port;
  return bpf_map_lookup_elem(&workload_ports, &key) != NULL;
}
