/* Endpoints that get no new connection, and when those that they have are to end. */
#pragma once

#include "services.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, CW_MAX_ENDPOINTS);
  __type(key, __u32);
  __type(value, struct cw_leaving);
} leaving __weak SEC(".maps");

static __always_inline int has_to_end(__u32 endpoint_id) {
  const struct cw_leaving* entry = bpf_map_lookup_elem(&leaving, &endpoint_id);
  return entry && bpf_ktime_get_ns() >= entry->due_ns;
}
