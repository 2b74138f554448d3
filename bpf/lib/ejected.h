/* How many endpoints are left out: so that not too many are, and to know whether enough of this host are fit. */
#pragma once

#include "balance.h"
#include "services.h"

#define OUT_CHUNK 64
#define OUT_CHUNKS 64 /* of a list with more endpoints than both make, so many stand for all */
#define OUT_COUNTED (OUT_CHUNK * OUT_CHUNKS)

/* Functions of their own: the verifier walks through each once, not once for each way that leads here. */
__weak __noinline __u32 count_out_of_chunk(const struct cw_endpoint_key* of, __u32 end) {
  __u32 out = 0;
  if (!of) return 0;
  for (__u32 i = 0; i < OUT_CHUNK; i++) {
    if (of->slot + i >= end) break;
    const struct cw_endpoint* endpoint = endpoint_at(of, of->slot + i);
    const struct cw_endpoint_state* state =
        endpoint ? bpf_map_lookup_elem(&endpoint_states, &endpoint->endpoint_id) : NULL;
    if (state && state->out) out++;
  }
  return out;
}

__weak __noinline __u32 count_out(__u32 service_id, __u32 generation, __u32 list, __u32 count) {
  __u32 out = 0;
  for (__u32 chunk = 0; chunk < OUT_CHUNKS; chunk++) {
    if (chunk * OUT_CHUNK >= count) break;
    const struct cw_endpoint_key of = {service_id, generation, list, chunk * OUT_CHUNK};
    out += count_out_of_chunk(&of, count);
  }
  return out;
}

/* Counted when the first connection asks, and anew when the endpoints change or one is left out or back. */
static __always_inline __u32 local_out(__u32 service_id, const struct cw_service* service,
                                       struct cw_service_state* state) {
  const __u32 generation = service->generation;
  if (state->local_out_of != generation) {
    /* Before it is counted, with a barrier: what happens meanwhile has it counted again. */
    __sync_lock_test_and_set(&state->local_out_of, generation);
    const struct cw_set* local = &service->sets[CW_LOCAL + CW_REACHES_BOTH];
    state->local_out = count_out(service_id, generation, local->list, local->count);
  }
  return state->local_out;
}

__weak __noinline __u32 stays_local(__u32 service_id) {
  const struct cw_service* service = bpf_map_lookup_elem(&services, &service_id);
  struct cw_service_state* state = bpf_map_lookup_elem(&service_states, &service_id);
  if (!service || !state) return 0;
  const __u32 healthy = service->sets[CW_LOCAL + CW_REACHES_BOTH].count;
  const __u32 out = local_out(service_id, service, state);
  return cw_balance_stays_local(service->local_known, healthy > out ? healthy - out : 0, service->locality_percent);
}
