/* Counters of connections that went straight to an endpoint, by service and client. Per CPU, and yet added atomically:
 * on one CPU a softirq (an answer that arrives) may come between a process's load and its store. */
#pragma once

#include "causeway/abi/counters.h"
#include "kernel_types.h"

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, CW_MAX_COUNTED);
  __type(key, struct cw_counters_key);
  __type(value, struct cw_counters);
} path_counters __weak SEC(".maps");

static const struct cw_counters no_counts = {};

static __always_inline void count(__u64* counter, __u64 by) {
  __sync_fetch_and_add(counter, by);
}

static __always_inline struct cw_counters* find_counters(const struct cw_counters_key* of) {
  const struct cw_counters_key key = *of;
  return bpf_map_lookup_elem(&path_counters, &key);
}

/* `key` becomes the one that they are found by from now on. From a process's context, where an entry is made more
 * surely than in a softirq's. */
static __always_inline struct cw_counters* make_counters(struct cw_counters_key* key) {
  struct cw_counters* found = find_counters(key);
  if (found) return found;
  const struct cw_counters_key made = *key;
  bpf_map_update_elem(&path_counters, &made, &no_counts, BPF_NOEXIST);
  found = find_counters(key);
  if (found) return found;
  key->service_id = CW_COUNTED_TOGETHER;
  key->client_id = 0;
  return find_counters(key);
}

static __always_inline void count_failure(struct cw_counters* counters, __u32 reason) {
  if (reason < CW_FAILED_REASONS) count(&counters->failed[reason], 1);
}

static __always_inline void count_connect_time(struct cw_counters* counters, __u64 microseconds) {
  const __u32 bounds[] = CW_DURATION_BOUNDS_US;
  __u32 bucket = 0;
#pragma unroll
  for (; bucket < CW_DURATION_BUCKETS - 1; bucket++) {
    if (microseconds <= bounds[bucket]) break;
  }
  if (bucket < CW_DURATION_BUCKETS) count(&counters->connect_buckets[bucket], 1);
  count(&counters->connect_sum_us, microseconds);
}
