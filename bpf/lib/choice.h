/* Which endpoint of its service a connection goes to. */
#pragma once

#include "balance.h"
#include "ejection.h"
#include "limits.h"

#define PICK_ATTEMPTS 3
#define ROOM_CHUNK 64
#define ROOM_CHUNKS 64 /* more endpoints than both make are not looked at one by one */
#define MAX_LOOKED_AT 16 /* all of a small service, of a large one enough, unless so many are out side by side */

static __always_inline __s64 active_on(const struct cw_endpoint* endpoint) {
  const struct cw_endpoint_state* state = bpf_map_lookup_elem(&endpoint_states, &endpoint->endpoint_id);
  return state ? state->active : 0;
}

static __always_inline const struct cw_endpoint* least_active(const struct cw_endpoint_key* of, __u32 count) {
  const struct cw_pair pair = cw_balance_two(bpf_get_prandom_u32(), bpf_get_prandom_u32(), count);
  const struct cw_endpoint* first = endpoint_at(of, pair.first);
  const struct cw_endpoint* second = endpoint_at(of, pair.second);
  if (!first || !second) return first;
  return cw_balance_takes_first(active_on(first), active_on(second)) ? first : second;
}

static __always_inline const struct cw_endpoint* choose(const struct cw_service* service, __u32 service_id,
                                                        __u32 count) {
  const struct cw_endpoint_key of = {service_id, service->generation, 0};
  if (service->balance == CW_BALANCE_LEAST_ACTIVE) return least_active(&of, count);
  if (service->balance == CW_BALANCE_ROUND_ROBIN) {
    struct cw_service_state* state = bpf_map_lookup_elem(&service_states, &service_id);
    if (state) {
      __u64* turns = count == service->endpoint_count ? &state->turns : &state->v4_turns;
      return endpoint_at(&of, cw_balance_round_robin(__sync_fetch_and_add(turns, 1), count));
    }
  }
  return endpoint_at(&of, cw_balance_random(bpf_get_prandom_u32(), count));
}

struct choice {
  struct cw_endpoint endpoint;
  __u32 on_trial;
  __u32 ejects;   /* whether the service leaves endpoints out */
  __u32 most;     /* connections that an endpoint may have; 0: any number */
  __u32 is_taken; /* the endpoint takes the connection */
  __u32 holds;    /* HOLDS_… */
};

static __always_inline int take_endpoint_place(struct cw_endpoint_state* state, struct choice* to) {
  if (!take_place(&state->active, to->most)) return 0;
  to->holds |= HOLDS_ENDPOINT;
  to->is_taken = 1;
  return 1;
}

/* Of all that come when an endpoint that was left out may be tried, one moves the time on and is the trial. */
static __always_inline int take_for_trial(struct cw_endpoint_state* state, struct choice* to) {
  const __u64 now = bpf_ktime_get_ns();
  const __u64 until = state->until;
  if (now < until || !take_endpoint_place(state, to)) return 0;
  to->on_trial = __sync_val_compare_and_swap(&state->until, until, now + CW_TRIAL_NS) == until;
  if (to->on_trial) return 1;
  if (config.has_sock_release) __sync_fetch_and_add(&state->active, -1);
  to->holds &= ~HOLDS_ENDPOINT;
  to->is_taken = 0;
  return 0;
}

/* Whether the endpoint takes the connection: it has room, and is not left out, or this one is to try it. */
static __always_inline int takes_connection(const struct cw_endpoint* endpoint, struct choice* to) {
  struct cw_endpoint_state* state = bpf_map_lookup_elem(&endpoint_states, &endpoint->endpoint_id);
  if (!state) return to->is_taken = 1;
  return to->ejects && state->out ? take_for_trial(state, to) : take_endpoint_place(state, to);
}

/* One that takes it, looked for from a random slot on, so that no neighbour gets all of them. A function of its own, as
 * the next: the verifier walks through it once, not once for each way that leads here or on. */
__noinline int pick_another(__u32 service_id, __u32 generation, __u32 count, struct choice* to) {
  if (!to || count == 0) return 0;
  const struct cw_endpoint_key of = {service_id, generation, 0};
  __u32 slot = cw_balance_random(bpf_get_prandom_u32(), count);
  for (int i = 0; i < MAX_LOOKED_AT; i++) {
    const struct cw_endpoint* endpoint = endpoint_at(&of, slot);
    if (endpoint && takes_connection(endpoint, to)) {
      to->endpoint = *endpoint;
      return 1;
    }
    if (++slot >= count) slot = 0;
  }
  return 0;
}

/* An endpoint of the service that a socket can reach; `v4_only` where its address family is fixed to IPv4. One that does
 * not take the connection (`to->is_taken`) where none was found that does. */
__noinline int pick_endpoint(__u32 service_id, int v4_only, struct choice* to) {
  if (!to) return 0;
  for (int attempt = 0; attempt < PICK_ATTEMPTS; attempt++) {
    const struct cw_service* service = bpf_map_lookup_elem(&services, &service_id);
    if (!service) return 0;
    const __u32 count = v4_only ? service->v4_count : service->endpoint_count;
    if (count == 0) return 0;
    const struct cw_endpoint* endpoint = choose(service, service_id, count);
    if (!endpoint) continue; /* the generation was flipped and its rows removed meanwhile: read the service again */
    to->endpoint = *endpoint;
    to->ejects = service->ejection_failures != 0;
    to->most = service->max_endpoint_connections;
    if (!takes_connection(endpoint, to)) pick_another(service_id, service->generation, count, to);
    return 1;
  }
  return 0;
}

static __always_inline int has_room_for(const struct cw_endpoint* endpoint, struct choice* to) {
  struct cw_endpoint_state* state = bpf_map_lookup_elem(&endpoint_states, &endpoint->endpoint_id);
  return state && take_endpoint_place(state, to);
}

__noinline int pick_room_in_chunk(__u32 service_id, __u32 generation, __u32 begin, __u32 end, struct choice* to) {
  if (!to) return 0;
  const struct cw_endpoint_key of = {service_id, generation, 0};
  for (__u32 i = 0; i < ROOM_CHUNK; i++) {
    if (begin + i >= end) break;
    const struct cw_endpoint* endpoint = endpoint_at(&of, begin + i);
    if (!endpoint || !has_room_for(endpoint, to)) continue;
    to->endpoint = *endpoint;
    return 1;
  }
  return 0;
}

/* Of those that pick_endpoint() passed over, one that has room: rather one that is left out than none. */
__noinline int pick_room(__u32 service_id, int v4_only, struct choice* to) {
  if (!to || has_room_for(&to->endpoint, to)) return 1;
  const struct cw_service* service = bpf_map_lookup_elem(&services, &service_id);
  if (!service) return 0;
  const __u32 generation = service->generation, count = v4_only ? service->v4_count : service->endpoint_count;
  for (__u32 chunk = 0; chunk < ROOM_CHUNKS; chunk++) {
    if (chunk * ROOM_CHUNK >= count) break;
    if (pick_room_in_chunk(service_id, generation, chunk * ROOM_CHUNK, count, to)) return 1;
  }
  return 0;
}
