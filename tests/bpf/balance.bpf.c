/* For BPF_PROG_TEST_RUN, which the cgroup socket hooks lack: the arithmetic that they choose by, a batch at a time. */
#include "../../bpf/lib/kernel_types.h"
#include "balance_case.h"

char LICENSE[] SEC("license") = "GPL";

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, BALANCE_BATCH);
  __type(key, __u32);
  __type(value, struct balance_case);
} cases SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, BALANCE_BATCH);
  __type(key, __u32);
  __type(value, struct balance_answer);
} answers SEC(".maps");

static long answer_one(__u32 index, void* context) {
  (void)context;
  const struct balance_case* of = bpf_map_lookup_elem(&cases, &index);
  struct balance_answer* is = bpf_map_lookup_elem(&answers, &index);
  if (!of || !is) return 1;
  answer_balance_case(of, is);
  return 0;
}

SEC("syscall")
int answer_all(void* context) {
  (void)context;
  return (int)bpf_loop(BALANCE_BATCH, answer_one, NULL, 0);
}
