/* Where a connection was going before the kernel took it to the agent: the proxy's and the DNS server's view of it. */
#pragma once

#include "common.h"

/* getsockopt(fd, CW_SOL_CAUSEWAY, CW_SO_ORIGIN, struct cw_origin *, sizeof) on an accepted connection of the agent's own
 * cgroup; no privilege needed. ENOPROTOOPT without the hook, ENOENT for a connection that was not intercepted. */
#define CW_SOL_CAUSEWAY 0xCA05
#define CW_SO_ORIGIN 1

struct cw_origin {
  __u8 dst_addr[16];     /* as dialled; network order, IPv4 as ::ffff:a.b.c.d */
  __be16 dst_port;       /* as dialled; network order */
  __u8 family;           /* the client socket's: AF_INET or AF_INET6 */
  __u8 protocol;         /* IPPROTO_TCP or IPPROTO_UDP */
  __u32 service_id;      /* of the alias dialled; 0: none (DNS) */
  __u32 namespace_number; /* the client's: 0 every namespace (host), 0xffffffff none */
  __u32 client_id;       /* 0 the host, otherwise the ECS service whose task dials */
  __u64 netns_cookie;    /* of the client's network namespace */
  __u64 cgroup_id;       /* of the client's task, 0 for the host */
  __u64 dialled_ns;      /* CLOCK_MONOTONIC of the connect() */
  __u64 reserved;
};
CW_ASSERT_SIZE(cw_origin, 64);
CW_ASSERT_OFFSET(cw_origin, dst_port, 16);
CW_ASSERT_OFFSET(cw_origin, service_id, 20);
CW_ASSERT_OFFSET(cw_origin, netns_cookie, 32);
CW_ASSERT_OFFSET(cw_origin, dialled_ns, 48);
