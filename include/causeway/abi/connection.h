/* What the programs keep with the socket of a dial that was rewritten. User space reads it by sock_diag. */
#pragma once

#include "counters.h"
#include "origin.h"

/* Of a connection that goes straight to an endpoint. */
#define CW_NOT_WATCHED 0
#define CW_CHOSEN 1     /* connect() was told where to go; the SYN has not left */
#define CW_CONNECTING 2 /* from here on the kernel tells every end */
#define CW_OPEN 3

struct cw_connection {
  struct cw_origin origin;
  __u32 to_agent;                  /* the agent is handed the origin; otherwise only getpeername() needs it */
  __u32 phase;                     /* CW_CHOSEN … */
  struct cw_counters_key counters; /* where it is counted, while it is watched */
  __u32 endpoint_id;
  __u32 on_trial; /* it tries an endpoint that was left out */
  __u32 holds;    /* the places among its service's and its endpoint's connections that it has taken */
  __u32 pad;
  __u64 opened_ns; /* CLOCK_MONOTONIC */
};
CW_ASSERT_SIZE(cw_connection, 104);
CW_ASSERT_OFFSET(cw_connection, phase, 68);
CW_ASSERT_OFFSET(cw_connection, endpoint_id, 80);
CW_ASSERT_OFFSET(cw_connection, opened_ns, 96);
