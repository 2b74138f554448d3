/* Aliases, the services behind them, and their endpoints. */
#pragma once

#include "address.h"
#include "balance.h"
#include "causeway/abi/maps.h"

#define PICK_ATTEMPTS 3

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, CW_MAX_ALIASES);
  __type(key, struct cw_alias_key);
  __type(value, struct cw_alias);
} aliases __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, CW_MAX_SERVICES);
  __type(key, __u32);
  __type(value, struct cw_service);
} services __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, CW_MAX_SERVICES);
  __type(key, __u32);
  __type(value, struct cw_service_state);
} service_states __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, CW_MAX_ENDPOINTS);
  __type(key, struct cw_endpoint_key);
  __type(value, struct cw_endpoint);
} endpoints __weak SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, CW_MAX_ENDPOINTS);
  __type(key, __u32);
  __type(value, struct cw_endpoint_state);
} endpoint_states __weak SEC(".maps");

static __always_inline int in_alias_range(const struct cw_address* ip) {
  return address_in(ip, &config.alias_v4_base, &config.alias_v4_mask) ||
         address_in(ip, &config.alias_v6_base, &config.alias_v6_mask);
}

static __always_inline const struct cw_alias* find_alias(const struct cw_socket_address* dst, __u8 protocol) {
  struct cw_alias_key key = {};
  key.ip = dst->ip;
  key.port = dst->port;
  key.protocol = protocol;
  return bpf_map_lookup_elem(&aliases, &key);
}

static __always_inline int alias_is_visible(const struct cw_alias* alias, __u32 namespace_number) {
  return namespace_number == CW_NAMESPACE_EVERY || namespace_number == alias->namespace_number;
}

static __always_inline int takes_kernel_path(__u32 service_id) {
  const struct cw_service* service = bpf_map_lookup_elem(&services, &service_id);
  return service && service->kernel_path;
}

static __always_inline const struct cw_endpoint* endpoint_at(const struct cw_endpoint_key* of, __u32 slot) {
  struct cw_endpoint_key key = {of->service_id, of->generation, slot};
  return bpf_map_lookup_elem(&endpoints, &key);
}

static __always_inline __s64 active_on(const struct cw_endpoint* endpoint) {
  const struct cw_endpoint_state* state = bpf_map_lookup_elem(&endpoint_states, &endpoint->endpoint_id);
  return state ? state->active : 0;
}

static __always_inline const struct cw_endpoint* least_active(const struct cw_endpoint_key* of, __u32 count) {
  const struct cw_pair pair = cw_balance_two(bpf_get_prandom_u32(), bpf_get_prandom_u32(), count);
  const struct cw_endpoint* first = endpoint_at(of, pair.first);
  const struct cw_endpoint* second = endpoint_at(of, pair.second);
  if (!first || !second) return first;
  return cw_balance_takes_first(active_on(first), active_on(second)) ? first : second;
}

static __always_inline const struct cw_endpoint* choose(const struct cw_service* service, __u32 service_id,
                                                        __u32 count) {
  const struct cw_endpoint_key of = {service_id, service->generation, 0};
  if (service->balance == CW_BALANCE_LEAST_ACTIVE) return least_active(&of, count);
  if (service->balance == CW_BALANCE_ROUND_ROBIN) {
    struct cw_service_state* state = bpf_map_lookup_elem(&service_states, &service_id);
    if (state) {
      __u64* turns = count == service->endpoint_count ? &state->turns : &state->v4_turns;
      return endpoint_at(&of, cw_balance_round_robin(__sync_fetch_and_add(turns, 1), count));
    }
  }
  return endpoint_at(&of, cw_balance_random(bpf_get_prandom_u32(), count));
}

/* An endpoint of the service that a socket can reach; `v4_only` where its address family is fixed to IPv4. */
static __always_inline int pick_endpoint(__u32 service_id, int v4_only, struct cw_endpoint* to) {
  for (int attempt = 0; attempt < PICK_ATTEMPTS; attempt++) {
    const struct cw_service* service = bpf_map_lookup_elem(&services, &service_id);
    if (!service) return 0;
    __u32 count = v4_only ? service->v4_count : service->endpoint_count;
    if (count == 0) return 0;
    const struct cw_endpoint* endpoint = choose(service, service_id, count);
    if (endpoint) {
      *to = *endpoint;
      return 1;
    }
    /* The generation was flipped and its rows removed between the two lookups: read the service again. */
  }
  return 0;
}
