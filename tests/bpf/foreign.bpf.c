/* Other programs of the sockops hook: each sets the callbacks that it wants, and so clears all others. */
#include "lib/kernel_types.h"

char LICENSE[] SEC("license") = "GPL";

SEC("sockops")
int want_none(struct bpf_sock_ops* ctx) {
  if (ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB) bpf_sock_ops_cb_flags_set(ctx, 0);
  return 1;
}

/* Once it has seen a round-trip time. */
SEC("sockops")
int want_none_later(struct bpf_sock_ops* ctx) {
  if (ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB) bpf_sock_ops_cb_flags_set(ctx, BPF_SOCK_OPS_RTT_CB_FLAG);
  if (ctx->op == BPF_SOCK_OPS_RTT_CB) bpf_sock_ops_cb_flags_set(ctx, 0);
  return 1;
}
