/* Which endpoint of its service a connection goes to. */
#pragma once

#include "balance.h"
#include "ejection.h"
#include "services.h"

#define PICK_ATTEMPTS 3
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
};

/* Whether the endpoint takes the connection: it is not left out, or this one is to try it. Of all that come when it may
 * be tried, one moves the time on and is the trial. */
static __always_inline int takes_connection(const struct cw_endpoint* endpoint, __u32* on_trial) {
  struct cw_endpoint_state* state = bpf_map_lookup_elem(&endpoint_states, &endpoint->endpoint_id);
  if (!state || !state->out) return 1;
  const __u64 now = bpf_ktime_get_ns();
  const __u64 until = state->until;
  if (now < until || __sync_val_compare_and_swap(&state->until, until, now + CW_TRIAL_NS) != until) return 0;
  *on_trial = 1;
  return 1;
}

/* One that takes it, looked for from a random slot on, so that no neighbour gets all of them. A function of its own, as
 * the next: the verifier walks through it once, not once for each way that leads here or on. */
__noinline int pick_another(__u32 service_id, __u32 generation, __u32 count, struct choice* to) {
  if (!to || count == 0) return 0;
  const struct cw_endpoint_key of = {service_id, generation, 0};
  __u32 slot = cw_balance_random(bpf_get_prandom_u32(), count);
  for (int i = 0; i < MAX_LOOKED_AT; i++) {
    const struct cw_endpoint* endpoint = endpoint_at(&of, slot);
    if (endpoint && takes_connection(endpoint, &to->on_trial)) {
      to->endpoint = *endpoint;
      return 1;
    }
    if (++slot >= count) slot = 0;
  }
  return 0;
}

/* An endpoint of the service that a socket can reach; `v4_only` where its address family is fixed to IPv4. Rather one
 * that is left out than none. */
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
    if (service->ejection_failures && !takes_connection(endpoint, &to->on_trial))
      pick_another(service_id, service->generation, count, to);
    return 1;
  }
  return 0;
}
