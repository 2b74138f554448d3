/* How many connections a service and its endpoints have, and may have. A place is taken in connect(), before the
 * kernel acts on the dial, atomically: two processors cannot both take the last one. It is given back once
 * (struct cw_connection.holds): when the connection ends, or, where the dial never began, with the socket. */
#pragma once

#include "causeway/abi/connection.h"
#include "services.h"

#define HOLDS_SERVICE 1u
#define HOLDS_ENDPOINT 2u
#define TAKE_ATTEMPTS 4 /* where so many others were faster: added, and taken back beyond the limit */

/* `most` 0: as many as come. A dial that is refused does not, even for a moment, take the place of another. */
static __always_inline int take_place(__s64* active, __u32 most) {
  for (int i = 0; most && i < TAKE_ATTEMPTS; i++) {
    const __s64 before = *(volatile __s64*)active;
    if (before >= (__s64)most) return 0;
    if (__sync_val_compare_and_swap(active, before, before + 1) == before) return 1;
  }
  const __s64 before = __sync_fetch_and_add(active, 1);
  if (!most || before < (__s64)most) return 1;
  __sync_fetch_and_add(active, -1);
  return 0;
}

/* Without state there is nothing to hold, nor to give back. */
static __always_inline int take_service_place(const struct cw_service* service, struct cw_service_state* state,
                                              __u32* holds) {
  if (!service || !state) return 1;
  if (!take_place(&state->active, service->max_connections)) return 0;
  *holds |= HOLDS_SERVICE;
  return 1;
}

static __always_inline void give_back_places(__u32 holds, __u32 service_id, __u32 endpoint_id) {
  if (holds & HOLDS_SERVICE) {
    struct cw_service_state* state = bpf_map_lookup_elem(&service_states, &service_id);
    if (state) __sync_fetch_and_add(&state->active, -1);
  }
  if (holds & HOLDS_ENDPOINT) {
    struct cw_endpoint_state* state = bpf_map_lookup_elem(&endpoint_states, &endpoint_id);
    if (state) __sync_fetch_and_add(&state->active, -1);
  }
}

static __always_inline void give_back_held(const struct cw_connection* connection) {
  give_back_places(connection->holds, connection->origin.service_id, connection->endpoint_id);
}
