/* What the programs keep of a dial that was rewritten: with its socket, or, of TCP to an endpoint, in a map by the
 * socket's cookie, which costs less; the former where that map is full, and of MPTCP. User space reads both. */
#pragma once

#include "counters.h"
#include "origin.h"

/* Connections to endpoints that the map by cookie holds. */
#define CW_CONNECTIONS_BY_COOKIE 16384

/* Of a connection that goes straight to an endpoint. */
#define CW_NOT_WATCHED 0
#define CW_CHOSEN 1     /* connect() was told where to go; the SYN has not left */
#define CW_CONNECTING 2 /* from here on the kernel tells its end, unless another program turns the callbacks off */
#define CW_OPEN 3
#define CW_PHASES 4

struct cw_connection {
  struct cw_origin origin;
  __u64 owner_and_phase; /* the socket's cookie (0 in its own storage) times CW_PHASES, plus CW_CHOSEN … */
  __u32 to_agent;        /* the agent is handed the origin; otherwise only getpeername() needs it */
  __u32 endpoint_id;
  struct cw_counters_key counters; /* where it is counted, while it is watched */
  __u32 on_trial;                  /* it tries an endpoint that was left out */
  __u32 holds;                     /* the places among its service's and its endpoint's connections that it has taken */
  __u64 opened_ns;                 /* CLOCK_MONOTONIC */
};
CW_ASSERT_SIZE(cw_connection, 104);
CW_ASSERT_OFFSET(cw_connection, owner_and_phase, 64);
CW_ASSERT_OFFSET(cw_connection, endpoint_id, 76);
CW_ASSERT_OFFSET(cw_connection, opened_ns, 96);
