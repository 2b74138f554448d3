/* Which endpoint of its service a connection goes to. */
#pragma once

#include "balance.h"
#include "ejected.h"
#include "ejection.h"
#include "limits.h"

#define PICK_ATTEMPTS 3
#define ROOM_CHUNK 64
#define ROOM_CHUNKS 64   /* more endpoints than both make are not looked at one by one */
#define MAX_LOOKED_AT 16 /* all of a small service, of a large one enough, unless so many are out side by side */

/* Who dials what. */
struct dialler {
  __u32 service_id;
  __u32 reach;  /* CW_REACHES_… */
  __u64 client; /* hash of what affinity goes by */
  __u32 prefers_local;
  __u32 tries_late; /* an endpoint that is left out only so much later as that time is long */
};

static __always_inline __u64 random_point(void) {
  return (__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32();
}

static __always_inline __s64 active_on(const struct cw_endpoint* endpoint) {
  const struct cw_endpoint_state* state = bpf_map_lookup_elem(&endpoint_states, &endpoint->endpoint_id);
  return state ? state->active : 0;
}

#define NO_SLOT 0xffffffffu

static __always_inline __u32 least_active(const struct cw_endpoint_key* of, __u32 count) {
  const struct cw_pair pair = cw_balance_two(bpf_get_prandom_u32(), bpf_get_prandom_u32(), count);
  const struct cw_endpoint* first = endpoint_at(of, pair.first);
  const struct cw_endpoint* second = endpoint_at(of, pair.second);
  if (!first || !second) return NO_SLOT;
  return cw_balance_takes_first(active_on(first), first->weight, active_on(second), second->weight) ? pair.first
                                                                                                    : pair.second;
}

static __always_inline __u32 weighted(const struct cw_endpoint_key* of, __u64 point, __u32 count) {
  const struct cw_place place = cw_balance_place(point, count);
  const struct cw_endpoint* endpoint = endpoint_at(of, place.slot);
  return endpoint ? cw_balance_weighted(place, endpoint->keep, endpoint->other) : NO_SLOT;
}

static __always_inline __u32 looked_up(const struct cw_endpoint_key* of, __u64 client, __u32 attempt, __u32 size) {
  const __u32 entry = cw_balance_lookup(client, attempt, size);
  const struct cw_lookup_key key = {of->service_id, of->generation, of->list, entry / CW_LOOKUP_PIECE};
  const struct cw_lookup* piece = bpf_map_lookup_elem(&lookups, &key);
  return piece ? piece->slot[entry % CW_LOOKUP_PIECE] : NO_SLOT;
}

static __always_inline __u32 in_turn(const struct cw_endpoint_key* of, struct cw_service_state* state, __u32 count,
                                     int by_weight) {
  if (of->list >= CW_SETS) return NO_SLOT;
  const __u64 turn = __sync_fetch_and_add(&state->turns[of->list], 1);
  return by_weight ? weighted(of, cw_balance_point(turn), count) : cw_balance_round_robin(turn, count);
}

/* A slot; NO_SLOT where the generation was flipped meanwhile. */
static __always_inline __u32 choose(const struct cw_service* service, struct cw_service_state* state,
                                    const struct cw_set* set, const struct cw_endpoint_key* of,
                                    const struct dialler* dialler) {
  if (service->balance == CW_BALANCE_MAGLEV && set->lookup_size)
    return looked_up(of, dialler->client, 0, set->lookup_size);
  if (service->balance == CW_BALANCE_LEAST_ACTIVE) return least_active(of, set->count);
  if (service->balance == CW_BALANCE_ROUND_ROBIN && state) return in_turn(of, state, set->count, service->weighted);
  if (service->weighted) return weighted(of, random_point(), set->count);
  return cw_balance_random(bpf_get_prandom_u32(), set->count);
}

struct choice {
  struct cw_endpoint endpoint;
  __u32 on_trial;
  __u32 ejects;      /* whether the service leaves endpoints out */
  __u32 most;        /* connections that an endpoint may have; 0: any number */
  __u32 is_taken;    /* the endpoint takes the connection */
  __u32 holds;       /* HOLDS_… */
  __u64 trial_delay; /* ns; so much later than other dials may this one try an endpoint that is left out */
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
  if (now < until + to->trial_delay || !take_endpoint_place(state, to)) return 0;
  to->on_trial = __sync_val_compare_and_swap(&state->until, until, now + CW_TRIAL_NS) == until;
  if (to->on_trial) return 1;
  __sync_fetch_and_add(&state->active, -1);
  to->holds &= ~HOLDS_ENDPOINT;
  to->is_taken = 0;
  return 0;
}

/* From here on functions of their own: the verifier walks through each once, not once for each way that leads here. */

/* Whether the endpoint takes the connection: it has room, and is not left out, or this one is to try it. */
__noinline int takes_connection(struct choice* to) {
  if (!to) return 0;
  const __u32 endpoint_id = to->endpoint.endpoint_id;
  struct cw_endpoint_state* state = bpf_map_lookup_elem(&endpoint_states, &endpoint_id);
  if (!state) return to->is_taken = 1;
  return to->ejects && state->out ? take_for_trial(state, to) : take_endpoint_place(state, to);
}

/* Copies the row in that slot. A map's memory is used again as soon as an entry is removed, within RCU's grace period:
 * what was copied is the row asked for only if its generation, whose rows go after it, still counts. */
__noinline int copy_row(const struct cw_endpoint_key* of, __u32 slot, struct choice* to) {
  if (!of || !to) return 0;
  const struct cw_endpoint* row = endpoint_at(of, slot);
  if (!row) return 0;
  to->endpoint = *row;
  const __u32 service_id = of->service_id;
  const struct cw_service* service = bpf_map_lookup_elem(&services, &service_id);
  return service && service->generation == of->generation;
}

/* Another one that takes it, drawn at random, or of a small service the next one. */
__noinline int pick_another(const struct cw_endpoint_key* of, __u32 count, struct choice* to) {
  if (!of || !to || count == 0) return 0;
  __u32 slot = cw_balance_random(bpf_get_prandom_u32(), count);
  for (int i = 0; i < MAX_LOOKED_AT; i++) {
    if (copy_row(of, slot, to) && takes_connection(to)) return 1;
    if (count > MAX_LOOKED_AT) {
      slot = cw_balance_random(bpf_get_prandom_u32(), count);
    } else if (++slot >= count) {
      slot = 0;
    }
  }
  return 0;
}

/* The next one for this client in the maglev table, the same each time. */
__noinline int look_up_another(const struct cw_endpoint_key* of, __u32 size, __u64 client, struct choice* to) {
  if (!of || !to || size == 0) return 0;
  for (__u32 attempt = 1; attempt <= MAX_LOOKED_AT; attempt++) {
    if (copy_row(of, looked_up(of, client, attempt, size), to) && takes_connection(to)) return 1;
  }
  return 0;
}

enum found { NONE, FOUND, FOUND_UNFIT, CHANGED };

/* NONE: the set has no endpoint. FOUND_UNFIT: all that were looked at are left out or full; it is one of those.
 * CHANGED: the generation was flipped meanwhile. */
__noinline int pick_from(const struct cw_service* service, struct cw_service_state* state,
                         const struct dialler* dialler, __u32 index, struct choice* to) {
  if (!service || !dialler || !to || index >= CW_SETS) return NONE;
  const struct cw_set set = service->sets[index];
  if (set.count == 0) return NONE;
  to->ejects = service->ejection_failures != 0;
  to->most = service->max_endpoint_connections;
  to->trial_delay = dialler->tries_late ? service->ejection_time_ms * CW_NS_PER_MS : 0;
  barrier();
  /* Last, for copy_row(): memory that another service's entry took meanwhile was written from its beginning on. */
  const struct cw_endpoint_key of = {dialler->service_id, *(const volatile __u32*)&service->generation, set.list, 0};
  if (!copy_row(&of, choose(service, state, &set, &of, dialler), to)) return CHANGED;
  if (takes_connection(to)) return FOUND;
  if (set.lookup_size && look_up_another(&of, set.lookup_size, dialler->client, to)) return FOUND;
  return pick_another(&of, set.count, to) ? FOUND : FOUND_UNFIT;
}

/* An endpoint of the service that a socket can reach; of this host, if those come first. One that does not take the
 * connection (`to->is_taken`) where none was found that does. */
static __always_inline int pick_endpoint(struct cw_service_state* state, const struct dialler* dialler,
                                         struct choice* to) {
  for (int attempt = 0; attempt < PICK_ATTEMPTS; attempt++) {
    const struct cw_service* service = bpf_map_lookup_elem(&services, &dialler->service_id);
    if (!service) return 0;
    if (dialler->prefers_local && pick_from(service, state, dialler, CW_LOCAL + dialler->reach, to) == FOUND) return 1;
    const int found = pick_from(service, state, dialler, dialler->reach, to);
    if (found != CHANGED) return found != NONE;
  }
  return 0;
}

/* One that is left out only if `also_out`. */
__noinline int takes_room(struct choice* to, int also_out) {
  if (!to) return 0;
  const __u32 endpoint_id = to->endpoint.endpoint_id;
  struct cw_endpoint_state* state = bpf_map_lookup_elem(&endpoint_states, &endpoint_id);
  return state && (also_out || !to->ejects || !state->out) && take_endpoint_place(state, to);
}

__noinline int pick_room_in_chunk(const struct cw_endpoint_key* of, __u32 end, int also_out, struct choice* to) {
  if (!of || !to) return 0;
  for (__u32 i = 0; i < ROOM_CHUNK; i++) {
    const __u32 slot = of->slot + i;
    if (slot >= end) break;
    if (copy_row(of, slot, to) && takes_room(to, also_out)) return 1;
  }
  return 0;
}

__noinline int pick_room_of(__u32 service_id, __u32 index, int also_out, struct choice* to) {
  if (!to || index >= CW_SETS) return 0;
  const struct cw_service* service = bpf_map_lookup_elem(&services, &service_id);
  if (!service) return 0;
  const __u32 count = service->sets[index].count;
  struct cw_endpoint_key of = {service_id, service->generation, service->sets[index].list, 0};
  for (__u32 chunk = 0; chunk < ROOM_CHUNKS; chunk++) {
    of.slot = chunk * ROOM_CHUNK;
    if (of.slot >= count) break;
    if (pick_room_in_chunk(&of, count, also_out, to)) return 1;
  }
  return 0;
}

/* Of those that pick_endpoint() passed over, one that has room: one that is not left out; else the one that it ended
 * with, which is as good as any; else whichever has room. */
__noinline int pick_room(__u32 service_id, __u32 index, struct choice* to) {
  if (!to) return 0;
  const struct cw_endpoint last = to->endpoint;
  if (pick_room_of(service_id, index, 0, to)) return 1;
  to->endpoint = last;
  return takes_room(to, 1) || pick_room_of(service_id, index, 1, to);
}
