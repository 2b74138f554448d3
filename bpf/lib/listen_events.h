/* Tells user space that a task's server began or stopped listening. Lost when the buffer is full: the receiver checks.
 */
#pragma once

#include "causeway/abi/maps.h"
#include "handover.h"

#define LISTEN_EVENTS_BYTES 65536

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, LISTEN_EVENTS_BYTES);
} listen_events __weak SEC(".maps");

static __always_inline void publish_listen(struct bpf_sock_ops* ctx, __u32 listening) {
  struct cw_listen_event event = {};
  local_address(ctx, &event.address);
  event.listening = listening;
  bpf_ringbuf_output(&listen_events, &event, sizeof event, 0);
}
