/* The choice of an endpoint, as arithmetic only: the hooks and user space's tests compile the same lines. */
#pragma once

#include "causeway/abi/common.h"

/* A slot in [0, count), uniform for a uniform `random` (Lemire's multiplication: no division, a bias below
 * count / 2^32). count > 0. */
static inline __attribute__((always_inline)) __u32 cw_balance_random(__u32 random, __u32 count) {
  return (__u32)(((__u64)random * count) >> 32);
}
