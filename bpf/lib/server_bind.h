/* bind(): five copies of one server run side by side on their port, each at its task's address.
 *
 * A v6 socket takes the task's IPv4 address in its v4-mapped form. An IPV6_V6ONLY socket cannot (the kernel answers
 * EINVAL), and nothing in a bind hook can lift that option. Such a socket is nearly always the twin of an IPv4 one:
 * nginx with `listen 3000; listen [::]:3000;`, asyncio, Redis. It gets a port of the kernel's choice on ::1, so that
 * its bind succeeds in every copy and nobody meets it, while its twin at the task's address answers both localhosts. A
 * server that has the v6-only socket alone is not reached at an IPv4 address, as it is not on any host. */
#pragma once

#include "scope.h"
#include "storage.h"

static __always_inline void move_server(struct bpf_sock_addr* ctx, enum ip_version version) {
  if (ctx_protocol(ctx) != IPPROTO_TCP || ctx->user_port == 0) return;
  __u64 cgroup_id;
  const struct cw_workload* workload = current_workload(&cgroup_id);
  if (!workload) return;
  struct cw_socket_address wanted = ctx_address(ctx, version);
  if (!workload_has_port(cgroup_id, wanted.port) || !is_ours(ctx)) return;
  struct cw_socket_address to = {workload->address, wanted.port, 0};
  int is_v4 = address_is_v4(&to.ip);
  if (address_is_any(&wanted.ip) || address_is_localhost(&wanted.ip)) {
    if (version == IP_V4 && !is_v4) return;
    if (version == IP_V6 && is_v4 && ctx_is_v6only(ctx)) {
      struct cw_socket_address aside = {{{0, 0, 0, bpf_htonl(1)}}, 0, 0};
      ctx_set_address(ctx, version, &aside);
      return;
    }
    ctx_set_address(ctx, version, &to);
  } else if (!address_equal(&wanted.ip, &to.ip)) {
    return;
  }
  __u32* mark = servers_get(ctx->sk, BPF_SK_STORAGE_GET_F_CREATE);
  if (mark) *mark = 1;
}
