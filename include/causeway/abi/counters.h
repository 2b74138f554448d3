/* What the programs count of connections that went straight to an endpoint. */
#pragma once

#include "common.h"

#define CW_MAX_COUNTED 1024 /* pairs of service and client; what is beyond is counted together */

/* Why a connection failed. */
#define CW_FAILED_REFUSED 0
#define CW_FAILED_RESET 1
#define CW_FAILED_TIMEOUT 2
#define CW_FAILED_NO_ENDPOINT 3
#define CW_FAILED_UNREACHABLE 4
#define CW_FAILED_LIMIT 5
#define CW_FAILED_OTHER 6
#define CW_FAILED_REASONS 7

/* Which limit of its service refused a dial. */
#define CW_OVERFLOW_CONNECTIONS 0
#define CW_OVERFLOW_ENDPOINT_CONNECTIONS 1
#define CW_OVERFLOWS 2

/* Upper bounds of the buckets of times to connect, in microseconds; a further bucket takes the rest. */
#define CW_DURATION_BOUNDS_US \
  { 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 5000000, 15000000 }
#define CW_DURATION_BUCKETS 15

/* As above, of round trip times (smoothed, when the connection ends) and of how long connections were open. */
#define CW_RTT_BOUNDS_US \
  { 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000 }
#define CW_RTT_BUCKETS 14
#define CW_LIFETIME_BOUNDS_US \
  { 1000, 10000, 100000, 1000000, 10000000, 60000000, 600000000, 3600000000 }
#define CW_LIFETIME_BUCKETS 9

struct cw_counters_key {
  __u32 service_id; /* CW_COUNTED_TOGETHER: of those that found no room */
  __u32 client_id;
};
CW_ASSERT_SIZE(cw_counters_key, 8);
#define CW_COUNTED_TOGETHER 0xffffffffu

/* One for each CPU. */
struct cw_counters {
  __u64 opened; /* established */
  __u64 closed; /* of those */
  __u64 failed[CW_FAILED_REASONS];
  __u64 overflows[CW_OVERFLOWS]; /* of those that failed by CW_FAILED_LIMIT */
  __u64 bytes_sent; /* to endpoints, and acknowledged; counted when the connection ends, as the next */
  __u64 bytes_received;
  __u64 ended; /* by the agent, because their endpoint had left */
  __u64 ejections;
  __u64 ejection_returns;
  __u64 connect_buckets[CW_DURATION_BUCKETS];
  __u64 connect_sum_us;
  __u64 retransmits; /* segments, SYNs too; counted when the connection or dial ends */
  __u64 rtt_buckets[CW_RTT_BUCKETS];
  __u64 rtt_sum_us;
  __u64 lifetime_buckets[CW_LIFETIME_BUCKETS];
  __u64 lifetime_sum_us;
};
CW_ASSERT_SIZE(cw_counters, 464);
