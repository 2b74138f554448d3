/* getsockopt() of the agent's processes on connections that they accepted: where was this going? */
#pragma once

#include "address.h"
#include "storage.h"

#define SOL_IP 0
#define SOL_IPV6 41
#define SO_ORIGINAL_DST 80 /* netfilter's, and IP6T_SO_ORIGINAL_DST */
#define SOCKADDR_IN_BYTES 16
#define SOCKADDR_IN6_BYTES 28
#define PAGE_BYTES 4096

/* The kernel's own answer stands. Of one longer than a page the hook was shown a part only: before Linux 6.5 the caller
 * gets EFAULT unless the hook says by 0 that it changed nothing. */
static __always_inline int keep_answer(struct bpf_sockopt* ctx) {
  if (ctx->optlen > PAGE_BYTES) ctx->optlen = 0;
  return 1;
}

static __always_inline int answer(struct bpf_sockopt* ctx, int length) {
  ctx->optlen = length;
  barrier(); /* clang would merge the two into one store, which the verifier takes for neither field */
  ctx->retval = 0;
  return 1;
}

static __always_inline int answer_origin(struct bpf_sockopt* ctx) {
  struct cw_origin* to = ctx->optval;
  if ((void*)(to + 1) > ctx->optval_end) return keep_answer(ctx);
  const struct cw_origin* origin = ctx->sk ? bpf_sk_storage_get(&accepted, ctx->sk, 0, 0) : NULL;
  if (!origin) {
    ctx->retval = -ENOENT;
    return 1;
  }
  *to = *origin;
  return answer(ctx, sizeof *to);
}

static __always_inline int answer_sockaddr_in(struct bpf_sockopt* ctx) {
  __u8* to = ctx->optval;
  if ((void*)(to + SOCKADDR_IN_BYTES) > ctx->optval_end) return keep_answer(ctx);
  const struct cw_origin* origin = ctx->sk ? bpf_sk_storage_get(&accepted, ctx->sk, 0, 0) : NULL;
  if (!origin) return keep_answer(ctx);
  struct cw_address ip;
  __builtin_memcpy(&ip, origin->dst_addr, sizeof ip);
  if (!address_is_v4(&ip)) return keep_answer(ctx);
  __builtin_memset(to, 0, SOCKADDR_IN_BYTES);
  *(__u16*)to = AF_INET;
  *(__be16*)(to + 2) = origin->dst_port;
  *(__u32*)(to + 4) = ip.word[3];
  return answer(ctx, SOCKADDR_IN_BYTES);
}

static __always_inline int answer_sockaddr_in6(struct bpf_sockopt* ctx) {
  __u8* to = ctx->optval;
  if ((void*)(to + SOCKADDR_IN6_BYTES) > ctx->optval_end) return keep_answer(ctx);
  const struct cw_origin* origin = ctx->sk ? bpf_sk_storage_get(&accepted, ctx->sk, 0, 0) : NULL;
  if (!origin) return keep_answer(ctx);
  __builtin_memset(to, 0, SOCKADDR_IN6_BYTES);
  *(__u16*)to = AF_INET6;
  *(__be16*)(to + 2) = origin->dst_port;
  __builtin_memcpy(to + 8, origin->dst_addr, 16);
  return answer(ctx, SOCKADDR_IN6_BYTES);
}
