/* Aliases, the services behind them, and their endpoints. */
#pragma once

#include "address.h"
#include "causeway/abi/maps.h"

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
  __uint(max_entries, CW_MAX_ROWS);
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

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, CW_MAX_LOOKUP_PIECES);
  __type(key, struct cw_lookup_key);
  __type(value, struct cw_lookup);
} lookups __weak SEC(".maps");

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

static __always_inline const struct cw_endpoint* endpoint_at(const struct cw_endpoint_key* of, __u32 slot) {
  struct cw_endpoint_key key = {of->service_id, of->generation, of->list, slot};
  return bpf_map_lookup_elem(&endpoints, &key);
}
