/* The hooks that an application's own calls run through: connect, sendmsg, recvmsg, getpeername, bind; and the agent's
 * getsockopt. They decide in lib/; here stands which hook asks what. */
#include "lib/dial.h"
#include "lib/dns_capture.h"
#include "lib/original_dst.h"
#include "lib/server_bind.h"
#include "lib/watch.h"

char LICENSE[] SEC("license") = "GPL";

/* What this socket dialled before, and failed to. False: it is a further subflow of a connection that is there. A
 * function of its own: the verifier need not walk through the dial for each of its ways. */
__noinline int forget_earlier_dial(struct bpf_sock_addr* ctx, const struct cw_socket_address* dst) {
  if (!ctx->sk || !dst) return 1;
  struct cw_connection* connection = connection_of(ctx, ctx->sk);
  if (!connection) return 1;
  const __u64 seen = owner_and_phase(connection);
  if (seen % CW_PHASES >= CW_CONNECTING) {
    if (is_mptcp(ctx->sk) && !in_alias_range(&dst->ip)) return 0;
    watch_lost(connection, seen);
  } else {
    watch_unsent(connection, seen, !uses_fast_open(ctx->sk));
  }
  connections_delete(ctx->sk);
  remove_by_cookie(bpf_get_socket_cookie(ctx));
  return 1;
}

static __always_inline enum verdict on_tcp_connect(struct bpf_sock_addr* ctx, enum ip_version version) {
  const struct cw_socket_address dst = ctx_address(ctx, version);
  if (!forget_earlier_dial(ctx, &dst)) return PROCEED;
  if (in_alias_range(&dst.ip)) return dial_alias(ctx, version, &dst);
  if (may_be_dns(dst.port) && dial_dns_tcp(ctx, version, &dst)) return PROCEED;
  if (address_is_localhost(&dst.ip) || address_is_any(&dst.ip)) dial_localhost(ctx, version, &dst);
  return PROCEED;
}

/* UDP dials of alias addresses are left alone: getaddrinfo() connects a UDP socket to every address that it sorts. */
static __always_inline void on_udp_connect(struct bpf_sock_addr* ctx, enum ip_version version) {
  const struct cw_socket_address dst = ctx_address(ctx, version);
  if (may_be_dns(dst.port) && query_dns_udp(ctx, version, &dst, 1)) return;
  connections_delete(ctx->sk); /* the socket asked a resolver before */
}

static __always_inline enum verdict on_connect(struct bpf_sock_addr* ctx, enum ip_version version) {
  const int protocol = ctx_protocol(ctx);
  if (protocol == IPPROTO_TCP) return on_tcp_connect(ctx, version);
  if (protocol == IPPROTO_UDP) on_udp_connect(ctx, version);
  return PROCEED;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr* ctx) {
  return on_connect(ctx, IP_V4);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr* ctx) {
  return on_connect(ctx, IP_V6);
}

static __always_inline void on_sendmsg(struct bpf_sock_addr* ctx, enum ip_version version) {
  if (ctx->protocol != IPPROTO_UDP || !may_be_dns((__be16)ctx->user_port)) return;
  const struct cw_socket_address dst = ctx_address(ctx, version);
  query_dns_udp(ctx, version, &dst, 0);
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr* ctx) {
  on_sendmsg(ctx, IP_V4);
  return PROCEED;
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr* ctx) {
  on_sendmsg(ctx, IP_V6);
  return PROCEED;
}

SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr* ctx) {
  restore_resolver(ctx, IP_V4);
  return PROCEED;
}

SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr* ctx) {
  restore_resolver(ctx, IP_V6);
  return PROCEED;
}

static __always_inline void on_getpeername(struct bpf_sock_addr* ctx, enum ip_version version) {
  const struct cw_connection* connection = bpf_sk_storage_get(&connections, ctx->sk, 0, 0);
  if (!connection) connection = connection_by_cookie(bpf_get_socket_cookie(ctx));
  if (!connection || connection->origin.dst_port == 0) return;
  struct cw_socket_address dialled = {};
  __builtin_memcpy(&dialled.ip, connection->origin.dst_addr, sizeof dialled.ip);
  dialled.port = connection->origin.dst_port;
  ctx_set_address(ctx, version, &dialled);
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr* ctx) {
  on_getpeername(ctx, IP_V4);
  return PROCEED;
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr* ctx) {
  on_getpeername(ctx, IP_V6);
  return PROCEED;
}

SEC("cgroup/bind4")
int bind4(struct bpf_sock_addr* ctx) {
  move_server(ctx, IP_V4);
  return PROCEED;
}

SEC("cgroup/bind6")
int bind6(struct bpf_sock_addr* ctx) {
  move_server(ctx, IP_V6);
  return PROCEED;
}

/* A socket is closed by the last process that had it; an MPTCP socket itself, not its subflows, which are told of. */
SEC("cgroup/sock_release")
int sock_release(struct bpf_sock* ctx) {
  if (ctx->protocol == IPPROTO_UDP) return PROCEED;
  const __u64 cookie = bpf_get_socket_cookie(ctx);
  struct cw_connection* connection = bpf_sk_storage_get(&connections, ctx, 0, 0);
  const __u64 owner = connection ? 0 : cookie * CW_PHASES;
  if (!connection) connection = connection_by_cookie(cookie);
  if (!connection) return PROCEED;
  const __u64 seen = owner_and_phase(connection);
  const __u64 phase = seen - owner; /* beyond all phases: TCP_CLOSE came meanwhile, and it is another's */
  int ended = 0;
  if (phase == CW_CHOSEN) {
    ended = watch_unsent(connection, seen, ctx->state == BPF_TCP_CLOSE);
  } else if ((phase == CW_CONNECTING || phase == CW_OPEN) && ctx->protocol == IPPROTO_TCP &&
             (ctx->state == BPF_TCP_CLOSE || !has_state_callback(ctx))) {
    ended = watch_lost(connection, seen);
  }
  if (ended) remove_by_cookie(cookie);
  return PROCEED;
}

SEC("cgroup/getsockopt")
int getsockopt(struct bpf_sockopt* ctx) {
  if (ctx->level == CW_SOL_CAUSEWAY && ctx->optname == CW_SO_ORIGIN) return answer_origin(ctx);
  if (ctx->level == SOL_IP && ctx->optname == SO_ORIGINAL_DST) return answer_sockaddr_in(ctx);
  if (ctx->level == SOL_IPV6 && ctx->optname == SO_ORIGINAL_DST) return answer_sockaddr_in6(ctx);
  return keep_answer(ctx);
}
