/* What the programs read of the kernel's own TCP socket. */
#pragma once

#include "kernel_types.h"

/* TCP_FASTOPEN_CONNECT: its SYN may leave with the first data, much later than connect(), or never. */
static __always_inline int uses_fast_open(struct bpf_sock* sk) {
  const struct tcp_sock* tcp = bpf_skc_to_tcp_sock(sk);
  return tcp && BPF_CORE_READ_BITFIELD(tcp, fastopen_connect);
}

/* `ctx`: of a cgroup_sock program, whose context is the kernel's socket itself. */
static __always_inline int has_state_callback(struct bpf_sock* ctx) {
  const __u8 flags = BPF_CORE_READ((struct tcp_sock*)(void*)ctx, bpf_sock_ops_cb_flags);
  return flags & BPF_SOCK_OPS_STATE_CB_FLAG;
}
