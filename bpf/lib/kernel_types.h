/* What the programs use of the kernel: its user API, libbpf's helpers, and the few internal fields that they read,
 * relocated by name on load (CO-RE), so that a build does not need the BTF of the machine it runs on. */
#pragma once

/* clang-format off: libbpf's headers need the kernel's types */
#include <linux/bpf.h>
#include <linux/types.h>
/* clang-format on */

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_MPTCP 262
#define ENOENT 2
#define ENETUNREACH 101
#define ECONNABORTED 103
#define ECONNRESET 104
#define ETIMEDOUT 110
#define ECONNREFUSED 111
#define EHOSTUNREACH 113
#define SOCK_DEAD_MASK 1ul
#define PF_KTHREAD 0x00200000

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct sock_common {
  volatile unsigned char skc_state;
  unsigned char skc_ipv6only : 1;
  unsigned long skc_flags;
  struct {
    long long counter;
  } skc_cookie; /* 0: nobody has asked for it */
};

struct sock {
  struct sock_common __sk_common;
  __u8 sk_kern_sock : 1;
  int sk_err;
};

struct tcp_sock {
  __u32 write_seq;
  __u8 fastopen_connect : 1; /* TCP_FASTOPEN_CONNECT */
  __u8 bpf_sock_ops_cb_flags;
};

struct bpf_sock_addr_kern {
  struct sock* sk;
};

struct task_struct {
  unsigned int flags;
};
#pragma clang attribute pop
