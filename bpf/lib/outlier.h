/* Endpoints that keep failing are left out (ejection.h), told by what becomes of connections. Their state is written
 * without a lock: a race of two processors miscounts a failure, no more. That one more may be left out is decided by
 * one processor at a time, or half of the endpoints could become all of them. */
#pragma once

#include "causeway/abi/connection.h"
#include "counters.h"
#include "ejected.h"
#include "ejection.h"
#include "events.h"
#include "services.h"

/* Without room a large service is not counted again for this long: each failure would walk through all its rows. */
#define NO_ROOM_NS (100 * CW_NS_PER_MS)

/* One processor at a time. */
static __always_inline int has_room(__u32 service_id, const struct cw_service* service, struct cw_service_state* state,
                                    __u64 now) {
  const struct cw_set* set = &service->sets[CW_REACHES_BOTH];
  const __u32 all = set->count < OUT_COUNTED ? set->count : OUT_COUNTED;
  if (all > OUT_CHUNK && now < state->full_until) return 0;
  if (cw_has_room(service, count_out(service_id, service->generation, set->list, all), all)) return 1;
  state->full_until = now + NO_ROOM_NS;
  return 0;
}

static __always_inline void leave_out(struct cw_endpoint_state* state, const struct cw_service* service, __u64 now) {
  state->until = now + cw_time_out(service, state->ejections);
  state->ejections++;
  state->runs[CW_RUN_CONNECT].count = 0;
  state->runs[CW_RUN_RESET].count = 0;
  state->out = 1;
}

static __always_inline int eject(__u32 service_id, const struct cw_service* service, struct cw_endpoint_state* state,
                                 __u32 run, __u64 now) {
  struct cw_service_state* of_service = bpf_map_lookup_elem(&service_states, &service_id);
  if (!of_service || __sync_val_compare_and_swap(&of_service->ejecting, 0, 1) != 0) return 0;
  const int ejected = !state->out && has_room(service_id, service, of_service, now);
  if (ejected) {
    if (now >= state->until) state->ejections = 0;
    state->by_reset = run == CW_RUN_RESET;
    leave_out(state, service, now);
    of_service->local_out_of = 0;
  }
  __sync_val_compare_and_swap(&of_service->ejecting, 1, 0);
  return ejected;
}

static __always_inline void report_failure(const struct cw_connection* connection, struct cw_counters* counters,
                                           __u32 run) {
  const __u32 service_id = connection->origin.service_id, endpoint_id = connection->endpoint_id;
  const struct cw_service* service = bpf_map_lookup_elem(&services, &service_id);
  struct cw_endpoint_state* state = bpf_map_lookup_elem(&endpoint_states, &endpoint_id);
  if (!service || !state || !service->ejection_failures) return;
  const __u64 now = bpf_ktime_get_ns();
  int ejected = 0;
  if (state->out) { /* others were begun before it was left out */
    ejected = connection->on_trial;
    if (ejected) leave_out(state, service, now);
  } else if (cw_run_failed(&state->runs[run == CW_RUN_RESET], service, now)) {
    ejected = eject(service_id, service, state, run, now);
  }
  if (!ejected) return;
  count(&counters->ejections, 1);
  publish_ejection(service_id, endpoint_id, state);
}

/* It is back with its first connection. One that was left out for resets, which come later, has none to spare. */
static __always_inline void report_connected(const struct cw_connection* connection, struct cw_counters* counters) {
  const __u32 service_id = connection->origin.service_id, endpoint_id = connection->endpoint_id;
  struct cw_endpoint_state* state = bpf_map_lookup_elem(&endpoint_states, &endpoint_id);
  if (!state) return;
  if (state->runs[CW_RUN_CONNECT].count) state->runs[CW_RUN_CONNECT].count = 0;
  if (!state->out || !connection->on_trial) return;
  const struct cw_service* service = bpf_map_lookup_elem(&services, &service_id);
  if (!service) return;
  const __u64 now = bpf_ktime_get_ns();
  state->until = now + cw_remembered(service);
  if (state->by_reset && service->ejection_failures) {
    state->runs[CW_RUN_RESET].since = now;
    state->runs[CW_RUN_RESET].count = service->ejection_failures - 1u;
  }
  state->out = 0;
  struct cw_service_state* of_service = bpf_map_lookup_elem(&service_states, &service_id);
  if (of_service) of_service->local_out_of = 0;
  if (counters) count(&counters->ejection_returns, 1);
  publish_ejection(service_id, endpoint_id, state);
}

static __always_inline void report_answered(const struct cw_connection* connection) {
  const __u32 endpoint_id = connection->endpoint_id;
  struct cw_endpoint_state* state = bpf_map_lookup_elem(&endpoint_states, &endpoint_id);
  if (state && state->runs[CW_RUN_RESET].count) state->runs[CW_RUN_RESET].count = 0;
}

/* Nothing was learned: the next may try it. */
static __always_inline void abandon_trial(__u32 endpoint_id) {
  struct cw_endpoint_state* state = bpf_map_lookup_elem(&endpoint_states, &endpoint_id);
  if (state && state->out) state->until = bpf_ktime_get_ns();
}

static __always_inline void report_abandoned(const struct cw_connection* connection) {
  if (connection->on_trial) abandon_trial(connection->endpoint_id);
}
