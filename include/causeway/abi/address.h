/* Addresses as the maps' keys and values hold them. */
#pragma once

#include "common.h"

/* 16 bytes in network order, IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2): a v4 socket and a v6 socket that reach the
 * same host give the same key. */
struct cw_address {
  __u32 word[4];
};
CW_ASSERT_SIZE(cw_address, 16);

struct cw_socket_address {
  struct cw_address ip;
  __be16 port; /* network order; 0: there is none */
  __u16 pad;
};
CW_ASSERT_SIZE(cw_socket_address, 20);
CW_ASSERT_OFFSET(cw_socket_address, port, 16);
