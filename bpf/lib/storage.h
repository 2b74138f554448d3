/* State that lives with its socket: no map to size, nothing to clean up. */
#pragma once

#include "causeway/abi/connection.h"
#include "config.h"

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct cw_connection);
} connections __weak SEC(".maps");

/* Of a connection that the agent accepted. */
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct cw_origin);
} accepted __weak SEC(".maps");

/* Of a UDP socket that asks DNS: where its newest query was going. */
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct cw_origin);
} queries __weak SEC(".maps");

/* Of a task's server on one of its ports. */
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, __u32);
} servers __weak SEC(".maps");

static __always_inline int is_mptcp(struct bpf_sock* sk) {
  return config.has_mptcp && bpf_skc_to_mptcp_sock(sk) != NULL;
}

/* The socket that the application holds: connect, bind and sockops meet an MPTCP socket's subflow, getpeername and
 * getsockopt the MPTCP socket itself. A subflow, which a socket keeps for its next dial, may have a copy. */
#define DEFINE_STORAGE(map, type)                                            \
  static __always_inline type* map##_get(struct bpf_sock* sk, __u64 flags) { \
    if (config.has_mptcp) {                                                  \
      void* msk = bpf_skc_to_mptcp_sock(sk);                                 \
      if (msk) return bpf_sk_storage_get(&map, msk, 0, flags);               \
    }                                                                        \
    return bpf_sk_storage_get(&map, sk, 0, flags);                           \
  }                                                                          \
  static __always_inline void map##_delete(struct bpf_sock* sk) {            \
    if (config.has_mptcp) {                                                  \
      void* msk = bpf_skc_to_mptcp_sock(sk);                                 \
      if (msk) bpf_sk_storage_delete(&map, msk);                             \
    }                                                                        \
    bpf_sk_storage_delete(&map, sk);                                         \
  }

DEFINE_STORAGE(connections, struct cw_connection)
DEFINE_STORAGE(accepted, struct cw_origin)
DEFINE_STORAGE(servers, __u32)
