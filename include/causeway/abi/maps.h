/* Keys and values of the BPF maps that user space writes or reads, and the maps' limits. */
#pragma once

#include "address.h"

#define CW_MAX_ALIASES 16384 /* entries: an alias has one for IPv4 and one for IPv6 */
#define CW_MAX_WORKLOADS 4096
#define CW_MAX_WORKLOAD_PORTS 16384
#define CW_MAX_SERVICES 16384
#define CW_MAX_ENDPOINTS 65536 /* rows; a service that changes has its old and new ones for a moment */

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

/* Keyed by service id (u32). One write of this value flips the generation: a dial sees the old rows or the new ones. */
struct cw_service {
  __u32 generation;
  __u32 endpoint_count;   /* healthy ones; slots 0..endpoint_count-1 */
  __u32 v4_count;         /* those with an IPv4 address: the first slots */
  __u8 kernel_path;       /* 1: a dial goes to an endpoint, not to the proxy */
  __u8 balance;           /* CW_BALANCE_… */
  __u8 ejection_failures; /* 0: none is left out */
  __u8 ejection_percent;
  __u32 ejection_window_ms;
  __u32 ejection_time_ms;
  __u32 ejection_max_time_ms;
  __u32 max_connections;
  __u32 max_endpoint_connections; /* 0: any number */
};
CW_ASSERT_SIZE(cw_service, 36);
CW_ASSERT_OFFSET(cw_service, kernel_path, 12);
CW_ASSERT_OFFSET(cw_service, balance, 13);

/* Keyed by service id (u32). What goes on while the service's entry and rows change; the programs write it. */
struct cw_service_state {
  __u64 turns;      /* connections that took an endpoint in turn, added atomically over the CPUs */
  __u64 v4_turns;   /* those that could take an IPv4 endpoint only, while the service has others too */
  __u64 ejecting;   /* 1: a processor is deciding whether one more may be left out */
  __u64 full_until; /* as many are left out as may be, when they were last counted */
  __s64 active;     /* as an endpoint's; of all its endpoints, those that left too */
};
CW_ASSERT_SIZE(cw_service_state, 40);

struct cw_endpoint_key {
  __u32 service_id;
  __u32 generation;
  __u32 slot;
};
CW_ASSERT_SIZE(cw_endpoint_key, 12);

struct cw_endpoint {
  struct cw_socket_address address;
  __u32 endpoint_id;
};
CW_ASSERT_SIZE(cw_endpoint, 24);
CW_ASSERT_OFFSET(cw_endpoint, endpoint_id, 20);

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

/* In the ring buffer: a task's server began (1) or stopped (0) listening. */
struct cw_listen_event {
  struct cw_socket_address address;
  __u32 listening;
};
CW_ASSERT_SIZE(cw_listen_event, 24);
