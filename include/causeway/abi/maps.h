/* Keys and values of the BPF maps that user space writes or reads, and the maps' limits. */
#pragma once

#include "address.h"

/* Defaults: the agent makes the maps as large as its configuration says (userspace/kernel/sizes.h). */
#define CW_MAX_ALIASES 65536 /* entries: an alias has one for IPv4 and one for IPv6 */
#define CW_MAX_WORKLOADS 4096
#define CW_PORTS_A_WORKLOAD 4
#define CW_MAX_WORKLOAD_PORTS (CW_PORTS_A_WORKLOAD * CW_MAX_WORKLOADS)
#define CW_MAX_SERVICES 16384
#define CW_MAX_ENDPOINTS 131072
/* An endpoint has a row, a second one where its service has endpoints of both families; a service that changes has its
 * old and its new rows for a moment. */
#define CW_ROWS_AN_ENDPOINT 2
#define CW_MAX_ROWS (CW_ROWS_AN_ENDPOINT * CW_MAX_ENDPOINTS)

#define CW_NAMESPACE_EVERY 0u
#define CW_NAMESPACE_NONE 0xffffffffu

struct cw_alias_key {
  struct cw_address ip;
  __be16 port;
  __u8 protocol; /* IPPROTO_TCP */
  __u8 pad;
};
CW_ASSERT_SIZE(cw_alias_key, 20);

struct cw_alias {
  __u32 service_id;
  __u32 namespace_number;
  __be16 canary_port; /* not 0: the agent's own check, taken to this port of 127.0.0.1 */
  __u16 pad;
};
CW_ASSERT_SIZE(cw_alias, 12);

/* Keyed by the id of the task's cgroup (u64). */
struct cw_workload {
  __u32 client_id;
  __u32 namespace_number;
  struct cw_address address;
};
CW_ASSERT_SIZE(cw_workload, 24);

struct cw_workload_port_key {
  __u64 cgroup_id;
  __be16 port;
  __u16 pad[3];
};
CW_ASSERT_SIZE(cw_workload_port_key, 16);

#define CW_BALANCE_ROUND_ROBIN 0
#define CW_BALANCE_RANDOM 1
#define CW_BALANCE_LEAST_ACTIVE 2
#define CW_BALANCE_MAGLEV 3

#define CW_AFFINITY_CLIENT_ADDRESS 0
#define CW_AFFINITY_TASK 1

/* What the address family of a socket reaches. */
#define CW_REACHES_BOTH 0
#define CW_REACHES_V4 1
#define CW_REACHES_V6 2 /* IPV6_V6ONLY */
#define CW_REACHES 3

/* A service's endpoints by what reaches them, and once more those of this host: sets[reach], sets[CW_LOCAL + reach]. */
#define CW_LOCAL CW_REACHES
#define CW_SETS (2 * CW_REACHES)

struct cw_set {
  __u32 list;        /* of rows; sets of the same endpoints share one */
  __u32 count;       /* healthy ones; slots 0..count-1 */
  __u32 lookup_size; /* entries of the maglev table; 0: there is none */
};
CW_ASSERT_SIZE(cw_set, 12);

/* Keyed by service id (u32). One write of this value flips the generation: a dial sees the old rows or the new ones. */
struct cw_service {
  __u32 generation;  /* never 0, and never another service's */
  __u32 local_known; /* endpoints of this host, healthy or not */
  struct cw_set sets[CW_SETS];
  __u8 kernel_path;       /* 1: a dial goes to an endpoint, not to the proxy */
  __u8 balance;           /* CW_BALANCE_… */
  __u8 affinity;          /* CW_AFFINITY_… */
  __u8 weighted;          /* 1: weights differ */
  __u8 locality_percent;  /* of local_known that must be fit for endpoints of this host to come first; 0: never */
  __u8 ejection_failures; /* 0: none is left out */
  __u8 ejection_percent;
  __u8 pad;
  __u32 ejection_window_ms;
  __u32 ejection_time_ms;
  __u32 ejection_max_time_ms;
  __u32 max_connections;
  __u32 max_endpoint_connections; /* 0: any number */
};
CW_ASSERT_SIZE(cw_service, 108);
CW_ASSERT_OFFSET(cw_service, sets, 8);
CW_ASSERT_OFFSET(cw_service, kernel_path, 80);

/* Keyed by service id (u32). What goes on while the service's entry and rows change; the programs write it. */
struct cw_service_state {
  __u64 turns[CW_SETS]; /* by list: connections that took an endpoint in turn, added atomically over the CPUs */
  __u64 ejecting;       /* 1: a processor is deciding whether one more may be left out */
  __u64 full_until;     /* as many are left out as may be, when they were last counted */
  __s64 active;         /* as an endpoint's; of all its endpoints, those that left too */
  __u32 local_out;      /* endpoints of this host that are left out */
  __u32 local_out_of;   /* the generation for which they were counted; 0: to be counted */
};
CW_ASSERT_SIZE(cw_service_state, 80);

struct cw_endpoint_key {
  __u32 service_id;
  __u32 generation;
  __u32 list;
  __u32 slot;
};
CW_ASSERT_SIZE(cw_endpoint_key, 16);

struct cw_endpoint {
  struct cw_socket_address address;
  __u32 endpoint_id;
  __u32 weight; /* 1 where weights do not differ */
  __u32 keep;   /* the part of its slot that it keeps, of 2^32; the rest is the other's (balance.h) */
  __u32 other;  /* a slot */
};
CW_ASSERT_SIZE(cw_endpoint, 36);
CW_ASSERT_OFFSET(cw_endpoint, endpoint_id, 20);

/* A list's maglev table, in pieces. */
#define CW_LOOKUP_PIECE 256
#define CW_ENDPOINTS_A_PIECE 2
#define CW_MAX_LOOKUP_PIECES (CW_MAX_ENDPOINTS / CW_ENDPOINTS_A_PIECE)

struct cw_lookup_key {
  __u32 service_id;
  __u32 generation;
  __u32 list;
  __u32 piece;
};
CW_ASSERT_SIZE(cw_lookup_key, 16);

struct cw_lookup {
  __u32 slot[CW_LOOKUP_PIECE];
};
CW_ASSERT_SIZE(cw_lookup, 4 * CW_LOOKUP_PIECE);

/* Keyed by endpoint id (u32). What goes on while rows change; the programs write it. */
struct cw_failure_run {
  __u64 since; /* of the first */
  __u32 count;
  __u32 pad;
};
#define CW_RUN_CONNECT 0 /* refused, or not answered; ended by a connection that is established */
#define CW_RUN_RESET 1   /* reset or timed out before any answer; ended by a connection that ends otherwise */

struct cw_endpoint_state {
  __s64 active;                  /* dials and connections, from connect() on; added atomically over the CPUs */
  __u64 until;                   /* out: when it may be tried; else: when `ejections` is forgotten */
  struct cw_failure_run runs[2]; /* two processors may count one failure for two, or two for one */
  __u32 ejections;               /* in a row */
  __u8 out;                      /* 1: left out */
  __u8 by_reset;                 /* by which run */
  __u8 pad[2];
};
CW_ASSERT_SIZE(cw_endpoint_state, 56);

/* Keyed by endpoint id (u32): it gets no new connection. Times are CLOCK_MONOTONIC. */
struct cw_leaving {
  __u64 since_ns;
  __u64 due_ns; /* when the connections that it has are ended */
};
CW_ASSERT_SIZE(cw_leaving, 16);

/* Keyed by the source address of a DNS query (struct cw_socket_address). */
struct cw_udp_peer {
  struct cw_socket_address resolver; /* as dialled; port 0: the agent's DNS itself was dialled */
  __u32 namespace_number;
  __u32 client_id;
};
CW_ASSERT_SIZE(cw_udp_peer, 28);
CW_ASSERT_OFFSET(cw_udp_peer, namespace_number, 20);

/* In the ring buffer. The first word is the type. */
#define CW_EVENT_LISTEN 1
#define CW_EVENT_EJECTION 2
#define CW_EVENT_LATE_DIAL 3

/* A task's server began (1) or stopped (0) listening. */
struct cw_listen_event {
  __u32 type;
  __u32 listening;
  struct cw_socket_address address;
};
CW_ASSERT_SIZE(cw_listen_event, 28);

/* An endpoint is left out (1), once more perhaps, or taken back (0). */
struct cw_ejection_event {
  __u32 type;
  __u32 ejected;
  __u32 service_id;
  __u32 endpoint_id;
  __u32 run;       /* CW_RUN_…: by which failures */
  __u32 ejections; /* in a row */
  __u64 until_ns;  /* CLOCK_MONOTONIC; as cw_endpoint_state.until */
};
CW_ASSERT_SIZE(cw_ejection_event, 32);

/* The SYN of a dial that waited for its first data leaves, to an endpoint that left meanwhile and whose connections
 * were ended. */
struct cw_late_dial_event {
  __u32 type;
  __u32 endpoint_id;
};
CW_ASSERT_SIZE(cw_late_dial_event, 8);
