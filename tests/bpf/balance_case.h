/* One case for every function of lib/balance.h and lib/ejection.h, and what they answer: compiled into a BPF program
 * and into the test that holds the two against each other. */
#pragma once

#include "../../bpf/lib/balance.h"
#include "../../bpf/lib/ejection.h"

#define BALANCE_BATCH 4096

struct balance_case {
  __u64 point, turn, client, seed;
  __u32 random, other_random;
  __u32 count; /* > 0 */
  __u32 keep, other, attempt;
  __u32 known, fit, percent;
  __u32 first_weight, second_weight; /* [1, 2^16) */
  __u32 first_active, second_active;
  __u32 ejections, out, all;
  struct cw_failure_run run;
  __u64 now;
  __u8 failures, ejection_percent, pad[2];
  __u32 window_ms, time_ms, max_time_ms;
};

struct balance_answer {
  __u64 point, mix, hash, time_out, remembered, since;
  __u32 random, round_robin, first, second, takes_first, slot, rest, weighted, lookup, stays_local, failed, runs,
      has_room, pad;
};

CW_PURE void answer_balance_case(const struct balance_case* of, struct balance_answer* is) {
  const struct cw_pair pair = cw_balance_two(of->random, of->other_random, of->count);
  const struct cw_place place = cw_balance_place(of->point, of->count);
  is->random = cw_balance_random(of->random, of->count);
  is->round_robin = cw_balance_round_robin(of->turn, of->count);
  is->first = pair.first;
  is->second = pair.second;
  is->takes_first =
      (__u32)cw_balance_takes_first(of->first_active, of->first_weight, of->second_active, of->second_weight);
  is->slot = place.slot;
  is->rest = place.rest;
  is->weighted = cw_balance_weighted(place, of->keep, of->other);
  is->point = cw_balance_point(of->turn);
  is->mix = cw_mix(of->client);
  is->hash = cw_balance_hash(of->seed, of->point, of->client);
  is->lookup = cw_balance_lookup(of->client, of->attempt, of->count);
  is->stays_local = (__u32)cw_balance_stays_local(of->known, of->fit, of->percent);
  struct cw_service service = {};
  service.ejection_failures = of->failures;
  service.ejection_percent = of->ejection_percent;
  service.ejection_window_ms = of->window_ms;
  service.ejection_time_ms = of->time_ms;
  service.ejection_max_time_ms = of->max_time_ms;
  struct cw_failure_run run = of->run;
  is->failed = (__u32)cw_run_failed(&run, &service, of->now);
  is->runs = run.count;
  is->since = run.since;
  is->time_out = cw_time_out(&service, of->ejections);
  is->remembered = cw_remembered(&service);
  is->has_room = (__u32)cw_has_room(&service, of->out, of->all);
  is->pad = 0;
}
