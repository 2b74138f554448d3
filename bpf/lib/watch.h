/* What becomes of a connection that went straight to an endpoint, told by its socket's changes of state. */
#pragma once

#include "connection.h"
#include "counters.h"
#include "events.h"
#include "leaving.h"
#include "limits.h"
#include "outlier.h"
#include "services.h"
#include "tcp_sock.h"

#define SOCK_DONE_MASK 2ul
#define NS_PER_US 1000
#define SRTT_SHIFT 3 /* the kernel keeps it in eighths */

/* TCP_CONNECT_CB: from here on TCP_CLOSE tells the end. */
static __always_inline void watch_connect(struct bpf_sock_ops* ctx, struct bpf_sock* sk,
                                          struct cw_connection* connection) {
  const __u64 seen = owner_and_phase(connection);
  if (seen % CW_PHASES != CW_CHOSEN) return;
  if (bpf_sock_ops_cb_flags_set(ctx, (int)ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG)) return;
  if (!move_to(connection, seen, CW_CONNECTING)) return;
  if (uses_fast_open(sk) && has_to_end(connection->endpoint_id)) publish_late_dial(connection->endpoint_id);
  /* Who ends connections meets an MPTCP socket's subflow, and finds no way from there. */
  if (!is_mptcp(sk)) return;
  struct cw_connection* copy = bpf_sk_storage_get(&connections, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (copy) *copy = *connection;
}

static __always_inline void watch_established(struct cw_connection* connection) {
  const __u64 seen = owner_and_phase(connection);
  if (seen % CW_PHASES != CW_CONNECTING || !move_to(connection, seen, CW_OPEN)) return;
  connection->opened_ns = bpf_ktime_get_ns();
  struct cw_counters* counters = find_counters(&connection->counters);
  report_connected(connection, counters);
  connection->on_trial = 0; /* what becomes of it later is as with any other */
  if (!counters) return;
  count(&counters->opened, 1);
  count_connect_time(counters, (connection->opened_ns - connection->origin.dialled_ns) / NS_PER_US);
}

/* Of a connection that was never established; CW_FAILED_REASONS: of no failure, its client gave up. One that gave up
 * after the SYN had gone out again, unanswered, waited for an endpoint that does not answer. */
static __always_inline __u32 why_not_connected(struct bpf_sock_ops* ctx, int error) {
  if (error == ECONNREFUSED) return CW_FAILED_REFUSED;
  if (error == ETIMEDOUT) return CW_FAILED_TIMEOUT;
  if (error == EHOSTUNREACH || error == ENETUNREACH) return CW_FAILED_UNREACHABLE;
  if (error == ECONNRESET) return CW_FAILED_RESET;
  if (error) return CW_FAILED_OTHER;
  return ctx->total_retrans ? CW_FAILED_TIMEOUT : CW_FAILED_REASONS;
}

/* Of an established one. An RST to a socket that its process has closed is no failure: nobody waits for an answer. */
static __always_inline __u32 why_ended(int error, __u64 flags) {
  if (error == ETIMEDOUT) return CW_FAILED_TIMEOUT;
  if (error == ECONNRESET && !(flags & SOCK_DEAD_MASK)) return CW_FAILED_RESET;
  return CW_FAILED_REASONS;
}

static __always_inline int is_the_endpoints(__u32 reason) {
  return reason == CW_FAILED_REFUSED || reason == CW_FAILED_RESET || reason == CW_FAILED_TIMEOUT ||
         reason == CW_FAILED_UNREACHABLE; /* of a SYN that left: a host that is down in the same subnet */
}

static __always_inline int sent_fin(__u32 state) {
  return state == BPF_TCP_FIN_WAIT1 || state == BPF_TCP_FIN_WAIT2 || state == BPF_TCP_TIME_WAIT ||
         state == BPF_TCP_CLOSING || state == BPF_TCP_LAST_ACK;
}

/* The kernel's sums follow the sequence numbers, where SYN and FIN count one each: its own SYN and FIN in what was
 * acknowledged, and the peer's FIN in what was received (tcp_fin() sets SOCK_DONE). */
static __always_inline void count_bytes(struct bpf_sock_ops* ctx, struct cw_counters* counters, __u32 write_seq,
                                        __u64 flags) {
  const __u64 not_data = 1 + (sent_fin(ctx->args[0]) && ctx->snd_una == write_seq);
  const __u64 acked = ctx->bytes_acked;
  const __u64 received = ctx->bytes_received;
  count(&counters->bytes_sent, acked > not_data ? acked - not_data : 0);
  count(&counters->bytes_received, received - (received && (flags & SOCK_DONE_MASK)));
}

/* Another program of this hook has set callbacks of its own, which clears those that were set: of the change of state,
 * too, perhaps. */
static __always_inline void keep_watching(struct bpf_sock_ops* ctx, struct cw_connection* connection) {
  if (phase_of(connection) < CW_CONNECTING) return;
  bpf_sock_ops_cb_flags_set(ctx, (int)ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
  watch_established(connection);
}

static __always_inline void count_end(struct bpf_sock_ops* ctx, struct bpf_sock* sk, struct cw_connection* connection,
                                      __u32 phase) {
  struct cw_counters* counters = find_counters(&connection->counters);
  const struct tcp_sock* tcp = bpf_skc_to_tcp_sock(sk);
  if (!counters || !tcp) return report_abandoned(connection);
  const int error = ((const struct sock*)tcp)->sk_err;
  count(&counters->retransmits, ctx->total_retrans);
  const int was_ended = error == ECONNABORTED && has_to_end(connection->endpoint_id);
  if (was_ended) count(&counters->ended, 1);
  if (phase == CW_CONNECTING) {
    if (was_ended) return report_abandoned(connection);
    const __u32 reason = why_not_connected(ctx, error);
    count_failure(counters, reason);
    if (is_the_endpoints(reason)) return report_failure(connection, counters, CW_RUN_CONNECT);
    return report_abandoned(connection);
  }
  const __u64 flags = ((const struct sock*)tcp)->__sk_common.skc_flags;
  count(&counters->closed, 1);
  count_bytes(ctx, counters, tcp->write_seq, flags);
  count_lifetime(counters, (bpf_ktime_get_ns() - connection->opened_ns) / NS_PER_US);
  if (ctx->srtt_us) count_rtt(counters, ctx->srtt_us >> SRTT_SHIFT);
  const __u32 reason = why_ended(error, flags);
  count_failure(counters, reason);
  if (is_the_endpoints(reason) && ctx->bytes_received == 0) {
    report_failure(connection, counters, CW_RUN_RESET);
  } else {
    report_answered(connection);
  }
}

/* TCP_CLOSE. True: the connection was watched, and is no more. */
static __always_inline int watch_close(struct bpf_sock_ops* ctx, struct bpf_sock* sk,
                                       struct cw_connection* connection) {
  const __u64 seen = owner_and_phase(connection);
  const __u32 phase = seen % CW_PHASES;
  if (phase < CW_CONNECTING || !take_end(connection, seen)) return 0;
  give_back_held(connection);
  count_end(ctx, sk, connection, phase);
  return 1;
}

/* Of a connection whose end nothing told: another program turned the callbacks off after all. */
static __always_inline int watch_lost(struct cw_connection* connection, __u64 seen) {
  if (seen % CW_PHASES < CW_CONNECTING || !take_end(connection, seen)) return 0;
  give_back_held(connection);
  struct cw_counters* counters = find_counters(&connection->counters);
  if (counters && seen % CW_PHASES == CW_OPEN) count(&counters->closed, 1);
  report_abandoned(connection);
  return 1;
}

/* Of a dial that ended before TCP_CONNECT_CB, which nothing tells of: it found no route, no port was free for it, or
 * another program refused it. Seen when the socket dials again, or is closed. One that did not fail waited for data to
 * send with its SYN (TCP_FASTOPEN_CONNECT). */
static __always_inline int watch_unsent(struct cw_connection* connection, __u64 seen, int has_failed) {
  if (seen % CW_PHASES != CW_CHOSEN || !take_end(connection, seen)) return 0;
  give_back_held(connection);
  struct cw_counters* counters = find_counters(&connection->counters);
  if (counters && has_failed) count_failure(counters, CW_FAILED_UNREACHABLE);
  report_abandoned(connection);
  return 1;
}
