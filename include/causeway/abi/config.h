/* What is fixed while the programs run: the object's .rodata, set before it is loaded. */
#pragma once

#include "address.h"

/* Raised with every change of a map's meaning or layout: an agent takes over only pins of its own version. */
#define CW_ABI_VERSION 4

struct cw_config {
  __u64 netns_cookie;                             /* SO_NETNS_COOKIE of the served network namespace */
  __u64 agent_cgroup_id;                          /* its processes, in sub-cgroups too, are exempt */
  __u64 tasks_cgroup_id;                          /* a task's cgroup is a child of it */
  __u32 agent_level;                              /* depth of the agent's cgroup; the hierarchy's root is 0 */
  __u32 tasks_level;                              /* depth of the tasks' parent */
  struct cw_address alias_v4_base, alias_v4_mask; /* in the v4-mapped form */
  struct cw_address alias_v6_base, alias_v6_mask;
  struct cw_socket_address proxy_v4, proxy_v6, dns_v4, dns_v6; /* port 0: not there */
  __u64 host_hash; /* differs between hosts: their clients of the same name are not the same clients */
  __u8 capture_dns;
  __u8 has_set_retval; /* bpf_set_retval, Linux 5.18: else a refusal is EPERM */
  __u8 has_mptcp;      /* bpf_skc_to_mptcp_sock, Linux 5.19 */
  __u8 pad[5];
};
CW_ASSERT_SIZE(cw_config, 192);
CW_ASSERT_OFFSET(cw_config, alias_v4_base, 32);
CW_ASSERT_OFFSET(cw_config, proxy_v4, 96);
CW_ASSERT_OFFSET(cw_config, capture_dns, 184);
