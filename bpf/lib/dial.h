/* What connect() does with a TCP dial: an alias goes to the proxy or to an endpoint, DNS to the agent's DNS, a task's
 * localhost to the task's address; everything else is left alone. */
#pragma once

#include "choice.h"
#include "connection.h"
#include "counters.h"
#include "liveness.h"
#include "outlier.h"
#include "scope.h"
#include "tcp_sock.h"

#define DNS_PORT bpf_htons(53)

enum verdict { REFUSE = 0, PROCEED = 1 };

/* ECONNREFUSED at once. Without bpf_set_retval (before Linux 5.18) the kernel makes it EPERM. */
static __always_inline enum verdict refuse(void) {
  if (config.has_set_retval) bpf_set_retval(-ECONNREFUSED);
  return REFUSE;
}

static __always_inline void fill_origin(struct cw_origin* o, struct bpf_sock_addr* ctx,
                                        const struct cw_socket_address* dst, __u32 service_id,
                                        const struct client* client) {
  __builtin_memcpy(o->dst_addr, &dst->ip, sizeof o->dst_addr);
  o->dst_port = dst->port;
  o->family = (__u8)ctx->family;
  o->protocol = (__u8)ctx_protocol(ctx);
  o->service_id = service_id;
  o->namespace_number = client->namespace_number;
  o->client_id = client->client_id;
  o->netns_cookie = config.netns_cookie;
  o->cgroup_id = client->cgroup_id;
  o->dialled_ns = bpf_ktime_get_ns();
  o->reserved = 0;
}

static __always_inline struct cw_connection* remember(struct bpf_sock_addr* ctx, const struct cw_socket_address* dst,
                                                      __u32 service_id, const struct client* client, int to_agent) {
  struct cw_connection* connection = connections_get(ctx->sk, BPF_SK_STORAGE_GET_F_CREATE);
  if (!connection) return NULL;
  fill_origin(&connection->origin, ctx, dst, service_id, client);
  connection->to_agent = (__u32)to_agent;
  connection->owner_and_phase = CW_NOT_WATCHED;
  return connection;
}

/* The rewrite itself. What cannot be remembered (no memory for socket options left) is not rewritten. */
static __always_inline int redirect(struct bpf_sock_addr* ctx, enum ip_version version,
                                    const struct cw_socket_address* dst, const struct cw_socket_address* to,
                                    __u32 service_id, const struct client* client, int to_agent) {
  if (!remember(ctx, dst, service_id, client, to_agent)) return 0;
  ctx_set_address(ctx, version, to);
  return 1;
}

static __always_inline struct cw_socket_address proxy_for(const struct cw_socket_address* dst) {
  if (address_is_v4(&dst->ip) || config.proxy_v6.port == 0) return constant(&config.proxy_v4);
  return constant(&config.proxy_v6);
}

/* A v6-only socket reaches no IPv4 address: the kernel would say ENETUNREACH, which names the wrong thing. */
static __always_inline int reaches(struct bpf_sock_addr* ctx, enum ip_version version,
                                   const struct cw_socket_address* to) {
  return !(version == IP_V6 && address_is_v4(&to->ip) && ctx_is_v6only(ctx));
}

/* What an endpoint must be for the socket to reach it. */
static __always_inline __u32 reach_of(struct bpf_sock_addr* ctx, enum ip_version version) {
  if (version == IP_V4) return CW_REACHES_V4;
  return ctx_is_v6only(ctx) ? CW_REACHES_V6 : CW_REACHES_BOTH;
}

/* What affinity goes by: the address that the socket is bound to, if it is and that is asked for; else the task, or the
 * host. Loopback addresses, tasks and hosts are the same client on one host only. */
static __always_inline __u64 hash_of_client(struct bpf_sock_addr* ctx, enum ip_version version, __u32 affinity,
                                            const struct client* client) {
  const struct cw_address bound = ctx_bound_address(ctx, version);
  if (affinity != CW_AFFINITY_CLIENT_ADDRESS || address_is_any(&bound))
    return cw_balance_hash(config.host_hash, 0, client->cgroup_id);
  return cw_balance_hash(address_is_loopback(&bound) ? config.host_hash : 0, (__u64)bound.word[0] << 32 | bound.word[1],
                         (__u64)bound.word[2] << 32 | bound.word[3]);
}

/* With TCP_FASTOPEN_CONNECT a trial may wait for its data for long: better that another dial makes it. A function of
 * its own: the verifier need not walk through the rest for each of its ways. */
__noinline int tries_late(struct bpf_sock_addr* ctx) {
  return ctx->sk && uses_fast_open(ctx->sk);
}

static __always_inline struct dialler dialler_of(struct bpf_sock_addr* ctx, enum ip_version version, __u32 service_id,
                                                 const struct cw_service* service, const struct client* client) {
  struct dialler dialler = {service_id, reach_of(ctx, version), 0, 0, (__u32)tries_late(ctx)};
  if (!service) return dialler;
  if (service->balance == CW_BALANCE_MAGLEV) dialler.client = hash_of_client(ctx, version, service->affinity, client);
  if (service->locality_percent) dialler.prefers_local = stays_local(service_id);
  return dialler;
}

static __always_inline int over_limit(struct cw_counters* counters, __u32 limit) {
  if (!counters) return 0;
  count_failure(counters, CW_FAILED_LIMIT);
  count(&counters->overflows[limit], 1);
  return 0;
}

/* True: `to` is an endpoint that takes the connection. What it holds is to be given back either way. */
static __always_inline int choose_endpoint(const struct cw_service* service, const struct dialler* dialler,
                                           struct cw_counters* counters, struct choice* to) {
  struct cw_service_state* state = bpf_map_lookup_elem(&service_states, &dialler->service_id);
  if (!take_service_place(service, state, &to->holds)) return over_limit(counters, CW_OVERFLOW_CONNECTIONS);
  if (!pick_endpoint(state, dialler, to)) {
    if (counters) count_failure(counters, CW_FAILED_NO_ENDPOINT);
    return 0;
  }
  return to->is_taken || pick_room(dialler->service_id, dialler->reach, to) ||
         over_limit(counters, CW_OVERFLOW_ENDPOINT_CONNECTIONS);
}

static __always_inline enum verdict dial_endpoint(struct bpf_sock_addr* ctx, enum ip_version version,
                                                  const struct cw_socket_address* dst, __u32 service_id,
                                                  const struct cw_service* service, const struct client* client) {
  struct cw_counters_key key = {service_id, client->client_id};
  struct cw_counters* counters = make_counters(&key);
  const struct dialler dialler = dialler_of(ctx, version, service_id, service, client);
  struct choice to = {};
  struct cw_connection connection = {};
  int kept = 0;
  if (choose_endpoint(service, &dialler, counters, &to)) {
    fill_origin(&connection.origin, ctx, dst, service_id, client);
    connection.counters = key;
    connection.endpoint_id = to.endpoint.endpoint_id;
    connection.on_trial = to.on_trial;
    connection.holds = to.holds;
    kept = keep_chosen(ctx, &connection);
  }
  if (!kept) {
    give_back_places(to.holds, service_id, to.endpoint.endpoint_id);
    if (to.on_trial) abandon_trial(to.endpoint.endpoint_id);
    return refuse();
  }
  ctx_set_address(ctx, version, &to.endpoint.address);
  return PROCEED;
}

static __always_inline enum verdict dial_alias(struct bpf_sock_addr* ctx, enum ip_version version,
                                               const struct cw_socket_address* dst) {
  if (!is_ours(ctx)) return PROCEED;
  const struct client client = current_client();
  const struct cw_alias* alias = find_alias(dst, IPPROTO_TCP);
  if (!alias || !alias_is_visible(alias, client.namespace_number)) return refuse();
  const __u32 service_id = alias->service_id;
  const struct cw_service* service = bpf_map_lookup_elem(&services, &service_id);
  struct cw_socket_address to = {};
  if (alias->canary_port) {
    to.ip = address_v4(LOOPBACK_V4);
    to.port = alias->canary_port;
  } else if (!(service && service->kernel_path) && proxy_is_alive()) {
    to = proxy_for(dst);
  } else {
    return dial_endpoint(ctx, version, dst, service_id, service, &client);
  }
  if (!reaches(ctx, version, &to)) return refuse();
  return redirect(ctx, version, dst, &to, service_id, &client, 1) ? PROCEED : refuse();
}

/* A task reaches its own server as localhost, where bind() moved it away from. */
static __always_inline void dial_localhost(struct bpf_sock_addr* ctx, enum ip_version version,
                                           const struct cw_socket_address* dst) {
  __u64 cgroup_id;
  const struct cw_workload* workload = current_workload(&cgroup_id);
  if (!workload || !workload_has_port(cgroup_id, dst->port) || !is_ours(ctx)) return;
  struct cw_socket_address to = {workload->address, dst->port, 0};
  if (version == IP_V4 && !address_is_v4(&to.ip)) return;
  if (version == IP_V6 && address_is_v4(&to.ip) && ctx_is_v6only(ctx)) return;
  struct cw_socket_address shown = *dst; /* a dial of 0.0.0.0 or :: shows localhost without us, too */
  if (address_is_any(&dst->ip)) {
    shown.ip.word[3] = address_is_v4(&dst->ip) ? LOOPBACK_V4 : bpf_htonl(1);
  }
  const struct client client = {cgroup_id, workload->namespace_number, workload->client_id};
  redirect(ctx, version, &shown, &to, 0, &client, 0);
}
