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

/* The bucket of a value: how many of the bounds it is beyond. Without a branch, of which the verifier would walk both
 * ways for each bound. */
#define COUNT_IN_BUCKETS(buckets, sum, bounds_of, count_of, value)                                             \
  do {                                                                                                         \
    const __u64 bounds[] = bounds_of;                                                                          \
    const __u64 counted = (value);                                                                             \
    __u32 bucket = 0;                                                                                          \
    _Pragma("unroll") for (__u32 i = 0; i < (count_of)-1; i++) bucket += (__u32)((bounds[i] - counted) >> 63); \
    if (bucket < (count_of)) count(&(buckets)[bucket], 1);                                                     \
    count(sum, counted);                                                                                       \
  } while (0)

static __always_inline void count_connect_time(struct cw_counters* counters, __u64 microseconds) {
  COUNT_IN_BUCKETS(counters->connect_buckets, &counters->connect_sum_us, CW_DURATION_BOUNDS_US, CW_DURATION_BUCKETS,
                   microseconds);
}

static __always_inline void count_rtt(struct cw_counters* counters, __u64 microseconds) {
  COUNT_IN_BUCKETS(counters->rtt_buckets, &counters->rtt_sum_us, CW_RTT_BOUNDS_US, CW_RTT_BUCKETS, microseconds);
}

static __always_inline void count_lifetime(struct cw_counters* counters, __u64 microseconds) {
  COUNT_IN_BUCKETS(counters->lifetime_buckets, &counters->lifetime_sum_us, CW_LIFETIME_BOUNDS_US, CW_LIFETIME_BUCKETS,
                   microseconds);
}
