/* Who lives (abi/heartbeat.h). A dead proxy or DNS must not cut the host's traffic. */
#pragma once

#include "causeway/abi/heartbeat.h"
#include "config.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct cw_heartbeat);
} heartbeat __weak SEC(".maps");

static __always_inline int is_fresh(__u64 beat) {
  /* Signed: a beat may be written between its read and the clock's. */
  return beat != 0 && (__s64)(bpf_ktime_get_ns() - beat) < (__s64)CW_STALE_NS;
}

static __always_inline int proxy_is_alive(void) {
  __u32 zero = 0;
  const volatile struct cw_heartbeat* h = bpf_map_lookup_elem(&heartbeat, &zero);
  return h && is_fresh(h->proxy_ns);
}

static __always_inline int dns_is_alive(void) {
  __u32 zero = 0;
  const volatile struct cw_heartbeat* h = bpf_map_lookup_elem(&heartbeat, &zero);
  return h && is_fresh(h->dns_ns);
}
