/* The address in the context of the connect, sendmsg, recvmsg, getpeername and bind hooks. Which half of the context
 * is meant is the hook's, not the socket's: the kernel runs the IPv4 hooks for IPv4 addresses on v6 UDP sockets too. */
#pragma once

#include "address.h"

enum ip_version { IP_V4, IP_V6 };

static __always_inline struct cw_socket_address ctx_address(struct bpf_sock_addr* ctx, enum ip_version version) {
  struct cw_socket_address a = {};
  if (version == IP_V4) {
    a.ip = address_v4(ctx->user_ip4);
  } else {
    a.ip.word[0] = ctx->user_ip6[0];
    a.ip.word[1] = ctx->user_ip6[1];
    a.ip.word[2] = ctx->user_ip6[2];
    a.ip.word[3] = ctx->user_ip6[3];
  }
  a.port = (__be16)ctx->user_port;
  return a;
}

static __always_inline void ctx_set_address(struct bpf_sock_addr* ctx, enum ip_version version,
                                            const struct cw_socket_address* a) {
  if (version == IP_V4) {
    ctx->user_ip4 = a->ip.word[3];
  } else {
    ctx->user_ip6[0] = a->ip.word[0];
    ctx->user_ip6[1] = a->ip.word[1];
    ctx->user_ip6[2] = a->ip.word[2];
    ctx->user_ip6[3] = a->ip.word[3];
  }
  ctx->user_port = a->port;
}

/* Where the socket is bound to; 0.0.0.0 or :: where it is not. */
static __always_inline struct cw_address ctx_bound_address(struct bpf_sock_addr* ctx, enum ip_version version) {
  struct bpf_sock* sk = ctx->sk;
  if (!sk) return address_v4(0);
  if (version == IP_V4) return address_v4(sk->src_ip4);
  const struct cw_address address = {{sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3]}};
  return address;
}

/* IPPROTO_TCP for MPTCP too: kernels before 6.6 run some hooks on the MPTCP socket instead of its first subflow. */
static __always_inline int ctx_protocol(struct bpf_sock_addr* ctx) {
  return ctx->protocol == IPPROTO_MPTCP ? IPPROTO_TCP : ctx->protocol;
}

/* The kernel's own socket behind the context, as a plain pointer for bpf_probe_read_kernel(): the verifier allows no
 * arithmetic on ctx->sk, and its view of it, struct bpf_sock, lacks the fields asked for here. */
static __always_inline struct sock* ctx_kernel_sock(struct bpf_sock_addr* ctx) {
  return BPF_CORE_READ((struct bpf_sock_addr_kern*)(void*)ctx, sk);
}

static __always_inline int ctx_is_v6only(struct bpf_sock_addr* ctx) {
  struct sock* sk = ctx_kernel_sock(ctx);
  return (int)BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_ipv6only);
}
