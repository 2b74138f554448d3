/* Queries to port 53 of any resolver go to the agent's DNS, which learns who asked whom: over TCP like any connection
 * (handover.h), over UDP from the packet's source address (dns_peers.h). */
#pragma once

#include "dial.h"

/* Of a socket bound to a device (DHCP clients, VRFs) nothing is captured: loopback is out of its reach. */
static __always_inline int is_bound_elsewhere(struct bpf_sock_addr* ctx) {
  return ctx->sk->bound_dev_if != 0 && ctx->sk->bound_dev_if != 1;
}

static __always_inline struct cw_socket_address dns_for(const struct cw_address* dialled) {
  return address_is_v4(dialled) ? constant(&config.dns_v4) : constant(&config.dns_v6);
}

/* Where a dial of `dst` is to go: to the agent's DNS, or (false) where it wants. A process that asks the agent's DNS by
 * its own address goes there unchanged, but is made known too; its `dialled` has port 0. */
static __always_inline int captures_dns(struct bpf_sock_addr* ctx, const struct cw_socket_address* dst,
                                        struct cw_socket_address* to, struct cw_socket_address* dialled) {
  *to = dns_for(&dst->ip);
  if (to->port == 0) return 0;
  *dialled = *dst;
  if (socket_address_equal(dst, to)) {
    struct cw_socket_address none = {};
    *dialled = none;
    return is_ours(ctx);
  }
  if (dst->port != DNS_PORT || !config.capture_dns || in_alias_range(&dst->ip)) return 0;
  return is_ours(ctx) && !is_bound_elsewhere(ctx) && dns_is_alive();
}

static __always_inline int may_be_dns(__be16 port) {
  return port == DNS_PORT || port == config.dns_v4.port || port == config.dns_v6.port;
}

static __always_inline int dial_dns_tcp(struct bpf_sock_addr* ctx, enum ip_version version,
                                        const struct cw_socket_address* dst) {
  struct cw_socket_address to, dialled;
  if (!captures_dns(ctx, dst, &to, &dialled)) return 0;
  const struct client client = current_client();
  return redirect(ctx, version, &dialled, &to, 0, &client, 1);
}

/* A v6 socket connected to a v4-mapped resolver meets the IPv4 sendmsg hook at every send, with the address that its
 * connect was rewritten to (udpv6_sendmsg hands over to udp_sendmsg as if the application had named it). */
static __always_inline int resends_connected(struct bpf_sock_addr* ctx, struct cw_origin* query) {
  const struct cw_connection* connection = bpf_sk_storage_get(&connections, ctx->sk, 0, 0);
  if (!connection || connection->origin.dst_port == 0) return 0;
  *query = connection->origin;
  return 1;
}

/* For connect() and for an unconnected sendmsg() alike. */
static __always_inline int query_dns_udp(struct bpf_sock_addr* ctx, enum ip_version version,
                                         const struct cw_socket_address* dst, int connected) {
  struct cw_socket_address to, dialled;
  if (!captures_dns(ctx, dst, &to, &dialled)) return 0;
  const struct client client = current_client();
  struct cw_origin* query = bpf_sk_storage_get(&queries, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (!query) return 0;
  if (!connected && dialled.port == 0 && resends_connected(ctx, query)) return 1;
  fill_origin(query, ctx, &dialled, 0, &client);
  if (connected) return redirect(ctx, version, &dialled, &to, 0, &client, 0);
  ctx_set_address(ctx, version, &to);
  return 1;
}

/* recvmsg(): an answer comes from the resolver that was asked, the newest one where a socket asked several at once. */
static __always_inline void restore_resolver(struct bpf_sock_addr* ctx, enum ip_version version) {
  const struct cw_origin* query = bpf_sk_storage_get(&queries, ctx->sk, 0, 0);
  if (!query || query->dst_port == 0) return;
  const struct cw_socket_address source = ctx_address(ctx, version);
  const struct cw_socket_address dns = dns_for(&source.ip);
  if (!socket_address_equal(&source, &dns)) return;
  struct cw_socket_address resolver = {};
  __builtin_memcpy(&resolver.ip, query->dst_addr, sizeof resolver.ip);
  resolver.port = query->dst_port;
  if (version == IP_V4 && !address_is_v4(&resolver.ip)) return;
  ctx_set_address(ctx, version, &resolver);
}
