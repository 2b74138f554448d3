/* One memory-mapped page (a BPF_F_MMAPABLE array of one entry): who lives. */
#pragma once

#include "common.h"

/* Each beat is CLOCK_MONOTONIC in ns, written with one 8-byte store about every 100 ms; older than CW_STALE_NS is dead. */
#define CW_STALE_NS 1000000000ULL

struct cw_heartbeat {
  __u64 proxy_ns;
  __u64 dns_ns;
  __u64 reserved[6];
};
CW_ASSERT_SIZE(cw_heartbeat, 64);
