/* State of a dial that was rewritten (abi/connection.h): made by connect(), found by every hook that meets its socket.
 * An entry by cookie costs less than storage with the socket (decision 008), and has to be removed. Every hook holds
 * the socket's lock but sock_release, so whoever sees a connection's end takes it, atomically, and only the one who
 * did removes the entry. */
#pragma once

#include "causeway/abi/connection.h"
#include "storage.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH); /* preallocated: no memory to find while a connection opens */
  __uint(max_entries, CW_CONNECTIONS_BY_COOKIE);
  __type(key, __u64);
  __type(value, struct cw_connection);
} connections_by_cookie __weak SEC(".maps");

static __always_inline __u64 owner_and_phase(const struct cw_connection* connection) {
  return *(const volatile __u64*)&connection->owner_and_phase;
}

static __always_inline __u32 phase_of(const struct cw_connection* connection) {
  return owner_and_phase(connection) % CW_PHASES;
}

/* False: it is not as it was seen any more. `seen` is read once, and told to be one's own: without the socket's lock
 * the memory may be another connection's at the next look. */
static __always_inline int move_to(struct cw_connection* connection, __u64 seen, __u32 phase) {
  const __u64 next = seen / CW_PHASES * CW_PHASES + phase;
  return __sync_val_compare_and_swap(&connection->owner_and_phase, seen, next) == seen;
}

/* True: its end is ours to tell, and nobody else's from now on. */
static __always_inline int take_end(struct cw_connection* connection, __u64 seen) {
  return move_to(connection, seen, CW_NOT_WATCHED);
}

static __always_inline struct cw_connection* connection_by_cookie(__u64 cookie) {
  struct cw_connection* connection = bpf_map_lookup_elem(&connections_by_cookie, &cookie);
  /* The memory of an entry that was removed is used again at once. */
  const __u64 owner = cookie * CW_PHASES;
  return connection && owner_and_phase(connection) - owner < CW_PHASES ? connection : NULL;
}

static __always_inline void remove_by_cookie(__u64 cookie) {
  bpf_map_delete_elem(&connections_by_cookie, &cookie);
}

/* `ctx` is that of the hook, `sk` its socket. */
static __always_inline struct cw_connection* connection_of(void* ctx, struct bpf_sock* sk) {
  struct cw_connection* connection = connections_get(sk, 0);
  return connection ? connection : connection_by_cookie(bpf_get_socket_cookie(ctx));
}

/* Keeps what was chosen for a dial. False: there is no memory for it. */
static __always_inline int keep_chosen(struct bpf_sock_addr* ctx, struct cw_connection* chosen) {
  if (!is_mptcp(ctx->sk)) { /* else the hooks meet several sockets, each with a cookie */
    const __u64 cookie = bpf_get_socket_cookie(ctx);
    chosen->owner_and_phase = cookie * CW_PHASES + CW_CHOSEN;
    if (bpf_map_update_elem(&connections_by_cookie, &cookie, chosen, BPF_ANY) == 0) return 1;
  }
  struct cw_connection* connection = connections_get(ctx->sk, BPF_SK_STORAGE_GET_F_CREATE);
  if (!connection) return 0;
  *connection = *chosen;
  connection->owner_and_phase = CW_CHOSEN;
  return 1;
}
