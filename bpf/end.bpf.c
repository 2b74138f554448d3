/* Ends connections to endpoints that left. Run by the agent, which reads who was ended from the iterator's file: an
 * endpoint id (u32) a connection. It walks the reader's network namespace; the kernel holds each socket's lock. */
#include "lib/connection.h"
#include "lib/leaving.h"

char LICENSE[] SEC("license") = "GPL";

struct seq_file;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct bpf_iter_meta {
  struct seq_file* seq;
};
#pragma clang attribute pop

struct bpf_iter__tcp {
  struct bpf_iter_meta* meta;
  struct sock_common* sk_common;
};

int bpf_sock_destroy(struct sock_common* sk) __ksym __weak; /* Linux 6.5; else this program is not loaded */

SEC("iter/tcp")
int end_connections(struct bpf_iter__tcp* ctx) {
  struct sock_common* sk = ctx->sk_common;
  if (!sk || sk->skc_state == BPF_TCP_TIME_WAIT) return 0; /* the latter is no whole socket: it has no storage */
  if (sk->skc_flags & SOCK_DEAD_MASK)
    return 0; /* its process has closed it: it ends by itself, unless it is disturbed */
  const struct cw_connection* connection = bpf_sk_storage_get(&connections, sk, 0, 0);
  if (!connection && sk->skc_cookie.counter) connection = connection_by_cookie((__u64)sk->skc_cookie.counter);
  if (!connection || phase_of(connection) < CW_CONNECTING) return 0;
  const __u32 endpoint_id = connection->endpoint_id;
  if (!has_to_end(endpoint_id)) return 0;
  /* Before the end: without room for it the kernel shows the socket once more. */
  if (bpf_seq_write(ctx->meta->seq, &endpoint_id, sizeof endpoint_id)) return 0;
  bpf_sock_destroy(sk);
  return 0;
}

/* Run by the agent: an endpoint that is gone, and may come back under its id, was never left out. `active` beside it
 * goes on: user space cannot write the one without the other. */
SEC("raw_tp") /* attached nowhere, for BPF_PROG_TEST_RUN: a program that may sleep could not use the map before 6.1 */
int forget_ejection(const __u64* endpoint_id) {
  const __u32 id = (__u32)*endpoint_id;
  struct cw_endpoint_state* state = bpf_map_lookup_elem(&endpoint_states, &id);
  if (!state) return 0;
  __builtin_memset(state->runs, 0, sizeof state->runs);
  state->until = 0;
  state->ejections = 0;
  state->by_reset = 0;
  state->out = 0;
  return 0;
}
