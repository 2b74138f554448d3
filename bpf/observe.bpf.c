/* The hooks that watch sockets and packets: sockops and cgroup_skb. They change nothing. */
#include "lib/dns_peers.h"
#include "lib/events.h"
#include "lib/handover.h"
#include "lib/watch.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline void tell_listening(struct bpf_sock_ops* ctx, __u32 listening) {
  struct cw_socket_address address = {};
  local_address(ctx, &address);
  publish_listen(&address, listening);
}

static __always_inline void on_listen(struct bpf_sock_ops* ctx) {
  struct bpf_sock* sk = ctx->sk;
  if (!sk || !servers_get(sk, 0)) return;
  bpf_sock_ops_cb_flags_set(ctx, (int)ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
  tell_listening(ctx, 1);
}

static __always_inline void on_connect(struct bpf_sock_ops* ctx) {
  struct bpf_sock* sk = ctx->sk;
  struct cw_connection* connection = sk ? connection_of(ctx, sk) : NULL;
  if (!connection) return;
  if (connection->to_agent) {
    put_origin(ctx, connection);
  } else {
    watch_connect(ctx, sk, connection);
  }
}

static __always_inline void on_state(struct bpf_sock_ops* ctx) {
  const __u32 before = ctx->args[0], now = ctx->args[1];
  if (now != BPF_TCP_CLOSE && now != BPF_TCP_ESTABLISHED) return;
  if (before == BPF_TCP_LISTEN) return tell_listening(ctx, 0);
  struct bpf_sock* sk = ctx->sk;
  struct cw_connection* connection = sk ? connection_of(ctx, sk) : NULL;
  if (!connection) return;
  if (now == BPF_TCP_ESTABLISHED) {
    watch_established(connection);
  } else if (connection->to_agent) {
    drop_origin(ctx);
  } else if (watch_close(ctx, sk, connection)) {
    remove_by_cookie(bpf_get_socket_cookie(ctx));
  }
}

static __always_inline void on_established(struct bpf_sock_ops* ctx) {
  if (ctx->bpf_sock_ops_cb_flags & BPF_SOCK_OPS_STATE_CB_FLAG) return; /* as every connection of ours has it */
  struct bpf_sock* sk = ctx->sk;
  struct cw_connection* connection = sk ? connection_of(ctx, sk) : NULL;
  if (connection && !connection->to_agent) keep_watching(ctx, connection);
}

SEC("sockops")
int sock_ops(struct bpf_sock_ops* ctx) {
  if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB) {
    on_connect(ctx);
  } else if (ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB) {
    on_established(ctx);
  } else if (ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB) {
    take_origin(ctx);
  } else if (ctx->op == BPF_SOCK_OPS_STATE_CB) {
    on_state(ctx);
  } else if (ctx->op == BPF_SOCK_OPS_TCP_LISTEN_CB) {
    on_listen(ctx);
  }
  return 1;
}

#define ETHERTYPE_IP bpf_htons(0x0800)
#define ETHERTYPE_IPV6 bpf_htons(0x86dd)
#define UDP_PORTS_BYTES 4

struct udp_ports {
  __be16 source, dest;
};

static __always_inline int read_v4(struct __sk_buff* skb, struct cw_socket_address* src,
                                   struct cw_socket_address* dst) {
  __u8 version_ihl;
  struct {
    __u32 source, dest;
  } ips;
  struct udp_ports ports;
  if (bpf_skb_load_bytes(skb, 0, &version_ihl, 1) || bpf_skb_load_bytes(skb, 12, &ips, sizeof ips)) return 0;
  if (bpf_skb_load_bytes(skb, (version_ihl & 15u) * 4u, &ports, sizeof ports)) return 0;
  src->ip = address_v4(ips.source);
  src->port = ports.source;
  dst->ip = address_v4(ips.dest);
  dst->port = ports.dest;
  return 1;
}

static __always_inline int read_v6(struct __sk_buff* skb, struct cw_socket_address* src,
                                   struct cw_socket_address* dst) {
  __u8 next_header;
  struct udp_ports ports;
  if (bpf_skb_load_bytes(skb, 6, &next_header, 1) || next_header != IPPROTO_UDP) return 0;
  if (bpf_skb_load_bytes(skb, 8, &src->ip, sizeof src->ip) || bpf_skb_load_bytes(skb, 24, &dst->ip, sizeof dst->ip))
    return 0;
  if (bpf_skb_load_bytes(skb, 40, &ports, sizeof ports)) return 0;
  src->port = ports.source;
  dst->port = ports.dest;
  return 1;
}

static __always_inline void on_query(struct __sk_buff* skb) {
  struct bpf_sock* sk = skb->sk;
  if (!sk) return;
  sk = bpf_sk_fullsock(sk);
  if (!sk || sk->protocol != IPPROTO_UDP) return;
  const struct cw_origin* query = bpf_sk_storage_get(&queries, sk, 0, 0);
  if (!query) return;
  struct cw_socket_address src = {}, dst = {};
  if (skb->protocol == ETHERTYPE_IP) {
    if (!read_v4(skb, &src, &dst)) return;
  } else if (skb->protocol == ETHERTYPE_IPV6) {
    if (!read_v6(skb, &src, &dst)) return;
  } else {
    return;
  }
  const struct cw_socket_address dns = address_is_v4(&dst.ip) ? constant(&config.dns_v4) : constant(&config.dns_v6);
  if (socket_address_equal(&dst, &dns)) publish_peer(&src, query);
}

SEC("cgroup_skb/egress")
int egress(struct __sk_buff* skb) {
  on_query(skb);
  return 1;
}
