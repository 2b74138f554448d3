/* The choice of an endpoint, as arithmetic only: the hooks, a program for BPF_PROG_TEST_RUN and user space compile the
 * same lines. Slots are the rows of a list, [0, count); count > 0. */
#pragma once

#include "causeway/abi/maps.h"

/* Uniform for a uniform `random` (Lemire's multiplication: no division, a bias below count / 2^32). */
CW_PURE __u32 cw_balance_random(__u32 random, __u32 count) {
  return (__u32)(((__u64)random * count) >> 32);
}

/* `turn` is one more with each connection: of any `count` in a row, each slot gets one. */
CW_PURE __u32 cw_balance_round_robin(__u64 turn, __u32 count) {
  return (__u32)(turn % count);
}

struct cw_pair {
  __u32 first, second;
};

/* Two slots, each pair as likely as any other; different ones if there are two. */
CW_PURE struct cw_pair cw_balance_two(__u32 random, __u32 other_random, __u32 count) {
  struct cw_pair pair = {cw_balance_random(random, count), 0};
  if (count > 1) pair.second = cw_balance_random(other_random, count - 1);
  if (pair.second >= pair.first && count > 1) pair.second++;
  return pair;
}

/* Of two drawn in a random order, whether the first is to have the connection: the one that with it has less to do for
 * its weight (the shortest expected delay, as IPVS's sed). Weights in [1, 2^16), active in [0, 2^32). */
CW_PURE int cw_balance_takes_first(__s64 first_active, __u32 first_weight, __s64 second_active, __u32 second_weight) {
  return (first_active + 1) * second_weight <= (second_active + 1) * first_weight;
}

/* Weights by Walker's alias method: every slot is as wide as any other, keeps a part of its width and gives the rest to
 * one other slot. A place is a point in that width. */
struct cw_place {
  __u32 slot;
  __u32 rest; /* of 2^32 */
};

/* Where `point`, of 2^64, lies. */
CW_PURE struct cw_place cw_balance_place(__u64 point, __u32 count) {
  const __u64 scaled = (point >> 32) * count + (((point & 0xffffffffu) * count) >> 32);
  const struct cw_place place = {(__u32)(scaled >> 32), (__u32)scaled};
  return place;
}

CW_PURE __u32 cw_balance_weighted(struct cw_place place, __u32 keep, __u32 other) {
  return place.rest < keep ? place.slot : other;
}

/* Turns as points: multiples of the golden ratio fall as evenly as can be, however many were drawn. */
CW_PURE __u64 cw_balance_point(__u64 turn) {
  return turn * 0x9e3779b97f4a7c15ull;
}

/* Every bit of the result depends on every bit of `x` (the finaliser of splitmix64). */
CW_PURE __u64 cw_mix(__u64 x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/* A client's hash from what it is known by. */
CW_PURE __u64 cw_balance_hash(__u64 seed, __u64 high, __u64 low) {
  return cw_mix(cw_mix(cw_mix(seed) + high) + low);
}

/* The client's entry of a maglev table; with each further attempt another one, always the same. */
CW_PURE __u32 cw_balance_lookup(__u64 client, __u32 attempt, __u32 size) {
  return cw_balance_random((__u32)(cw_mix(client + attempt) >> 32), size);
}

/* Whether endpoints of this host come first: enough of those that are known are fit. */
CW_PURE int cw_balance_stays_local(__u32 known, __u32 fit, __u32 percent) {
  return fit > 0 && (__u64)fit * 100 >= (__u64)known * percent;
}
