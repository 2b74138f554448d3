/* Tells user space what happened; it takes each for a hint and looks at what is, since events are lost when the buffer
 * is full. */
#pragma once

#include "causeway/abi/maps.h"
#include "kernel_types.h"

#define EVENTS_BYTES 65536

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, EVENTS_BYTES);
} events __weak SEC(".maps");

static __always_inline void publish_listen(const struct cw_socket_address* address, __u32 listening) {
  struct cw_listen_event event = {CW_EVENT_LISTEN, listening, *address};
  bpf_ringbuf_output(&events, &event, sizeof event, 0);
}

static __always_inline void publish_late_dial(__u32 endpoint_id) {
  struct cw_late_dial_event event = {CW_EVENT_LATE_DIAL, endpoint_id};
  bpf_ringbuf_output(&events, &event, sizeof event, 0);
}

static __always_inline void publish_ejection(__u32 service_id, __u32 endpoint_id,
                                             const struct cw_endpoint_state* state) {
  struct cw_ejection_event event = {CW_EVENT_EJECTION, state->out,       service_id,  endpoint_id,
                                    state->by_reset,   state->ejections, state->until};
  bpf_ringbuf_output(&events, &event, sizeof event, 0);
}
