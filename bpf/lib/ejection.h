/* When an endpoint is left out, as arithmetic only: the hooks and user space's tests compile the same lines.
 *
 * Failures one after another are counted from the first of them: one that comes later than the window begins a new run.
 * Times are nanoseconds of CLOCK_MONOTONIC. */
#pragma once

#include "causeway/abi/maps.h"

#define CW_NS_PER_MS 1000000ULL
#define CW_TRIAL_NS (30 * 1000 * CW_NS_PER_MS) /* a trial without an outcome is given up after this */
#define CW_MAX_DOUBLINGS 20                    /* 100 ms, the shortest time, becomes more than a day, the longest */

/* True: with this failure they are enough. */
CW_PURE int cw_run_failed(struct cw_failure_run* run, const struct cw_service* service, __u64 now) {
  if (run->count == 0 || now - run->since > service->ejection_window_ms * CW_NS_PER_MS) {
    run->count = 0;
    run->since = now;
  }
  if (run->count < service->ejection_failures) run->count++;
  return run->count >= service->ejection_failures;
}

/* How long it is left out after it was so that many times in a row. */
CW_PURE __u64 cw_time_out(const struct cw_service* service, __u32 ejections) {
  const __u64 first = service->ejection_time_ms, most = service->ejection_max_time_ms;
  const __u64 doubled = first << (ejections < CW_MAX_DOUBLINGS ? ejections : CW_MAX_DOUBLINGS);
  return (doubled < most ? doubled : most < first ? first : most) * CW_NS_PER_MS;
}

/* How long after its return its ejections count as in a row. */
CW_PURE __u64 cw_remembered(const struct cw_service* service) {
  const __u64 first = service->ejection_time_ms, most = service->ejection_max_time_ms;
  return (most < first ? first : most) * CW_NS_PER_MS;
}

/* Whether one more may be left out, where `out` of `all` are. */
CW_PURE int cw_has_room(const struct cw_service* service, __u32 out, __u32 all) {
  return out < all * service->ejection_percent / 100;
}
