/* The choice of an endpoint, as arithmetic only: the hooks and user space's tests compile the same lines. Slots are the
 * service's rows, [0, count); count > 0. */
#pragma once

#include "causeway/abi/common.h"

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

/* Of two drawn in a random order, whether the first has as little to do as the second. */
CW_PURE int cw_balance_takes_first(__s64 first_active, __s64 second_active) {
  return first_active <= second_active;
}
