/* Aliases, and the endpoints behind them for when there is no proxy. */
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
  __uint(max_entries, CW_MAX_ENDPOINTS);
  __type(key, struct cw_endpoint_key);
  __type(value, struct cw_socket_address);
} endpoints __weak SEC(".maps");

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

/* A healthy endpoint of the service that a socket can reach; `v4_only` where its address family is fixed to IPv4. */
static __always_inline int pick_endpoint(__u32 service_id, int v4_only, struct cw_socket_address* to) {
  for (int attempt = 0; attempt < PICK_ATTEMPTS; attempt++) {
    const struct cw_service* service = bpf_map_lookup_elem(&services, &service_id);
    if (!service) return 0;
    __u32 count = v4_only ? service->v4_count : service->endpoint_count;
    if (count == 0) return 0;
    struct cw_endpoint_key key = {service_id, service->generation, cw_balance_random(bpf_get_prandom_u32(), count)};
    const struct cw_socket_address* endpoint = bpf_map_lookup_elem(&endpoints, &key);
    if (endpoint) {
      *to = *endpoint;
      return 1;
    }
    /* The generation was flipped and its rows removed between the two lookups: read the service again. */
  }
  return 0;
}
