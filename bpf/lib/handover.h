/* How the agent learns where a connection was going: connect stores it with the client's socket, TCP_CONNECT_CB, the
 * first moment that knows the client's port, puts it under the connection's tuple before the SYN leaves, and
 * PASSIVE_ESTABLISHED moves it to the accepted socket, before accept() can return that: accept locks the new socket,
 * and the softirq that made it holds the lock until the callback is through. */
#pragma once

#include "address.h"
#include "causeway/abi/origin.h"
#include "storage.h"

/* Connections between SYN and accept queue at any one time. */
#define MAX_PENDING 32768

/* The server's view. Both ends of a v4-mapped connection give the same key, whichever families their sockets have. */
struct tuple {
  struct cw_socket_address server;
  struct cw_socket_address client;
  __u64 netns_cookie;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, MAX_PENDING);
  __type(key, struct tuple);
  __type(value, struct cw_origin);
} pending_origins __weak SEC(".maps");

static __always_inline void local_address(struct bpf_sock_ops* ctx, struct cw_socket_address* a) {
  if (ctx->family == AF_INET) {
    __u32 ip = ctx->local_ip4;
    barrier_var(ip); /* or clang loads from one of two context offsets, which the verifier refuses */
    a->ip = address_v4(ip);
  } else {
    a->ip.word[0] = ctx->local_ip6[0];
    a->ip.word[1] = ctx->local_ip6[1];
    a->ip.word[2] = ctx->local_ip6[2];
    a->ip.word[3] = ctx->local_ip6[3];
  }
  a->port = bpf_htons((__u16)ctx->local_port); /* host order there */
  a->pad = 0;
}

static __always_inline void remote_address(struct bpf_sock_ops* ctx, struct cw_socket_address* a) {
  if (ctx->family == AF_INET) {
    __u32 ip = ctx->remote_ip4;
    barrier_var(ip); /* or clang loads from one of two context offsets, which the verifier refuses */
    a->ip = address_v4(ip);
  } else {
    a->ip.word[0] = ctx->remote_ip6[0];
    a->ip.word[1] = ctx->remote_ip6[1];
    a->ip.word[2] = ctx->remote_ip6[2];
    a->ip.word[3] = ctx->remote_ip6[3];
  }
  a->port = bpf_htons((__u16)bpf_ntohl(ctx->remote_port)); /* network order in the upper half */
  a->pad = 0;
}

static __always_inline void client_tuple(struct bpf_sock_ops* ctx, struct tuple* t) {
  remote_address(ctx, &t->server);
  local_address(ctx, &t->client);
  t->netns_cookie = bpf_get_netns_cookie(ctx);
}

static __always_inline void server_tuple(struct bpf_sock_ops* ctx, struct tuple* t) {
  local_address(ctx, &t->server);
  remote_address(ctx, &t->client);
  t->netns_cookie = bpf_get_netns_cookie(ctx);
}

/* TCP_CONNECT_CB of the client. */
static __always_inline void put_origin(struct bpf_sock_ops* ctx, const struct cw_connection* connection) {
  struct tuple key = {};
  client_tuple(ctx, &key);
  bpf_map_update_elem(&pending_origins, &key, &connection->origin, BPF_ANY);
  bpf_sock_ops_cb_flags_set(ctx, (int)ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

/* PASSIVE_ESTABLISHED of whatever was dialled. */
static __always_inline void take_origin(struct bpf_sock_ops* ctx) {
  struct bpf_sock* sk = ctx->sk;
  if (!sk) return;
  struct tuple key = {};
  server_tuple(ctx, &key);
  const struct cw_origin* origin = bpf_map_lookup_elem(&pending_origins, &key);
  if (!origin) return;
  struct cw_origin* kept = accepted_get(sk, BPF_SK_STORAGE_GET_F_CREATE);
  if (kept) *kept = *origin;
  bpf_map_delete_elem(&pending_origins, &key);
}

/* TCP_CLOSE of the client: nobody accepted it, most often because it was refused. */
static __always_inline void drop_origin(struct bpf_sock_ops* ctx) {
  struct tuple key = {};
  client_tuple(ctx, &key);
  bpf_map_delete_elem(&pending_origins, &key);
}
