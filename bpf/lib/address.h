/* Addresses in their one form (abi/address.h). */
#pragma once

#include "config.h"

#define MAPPED_WORD bpf_htonl(0xffff)
#define LOOPBACK_V4 bpf_htonl(0x7f000001)

static __always_inline struct cw_address address_v4(__u32 ip) {
  struct cw_address address = {{0, 0, MAPPED_WORD, ip}};
  return address;
}

static __always_inline int address_is_v4(const struct cw_address* a) {
  return a->word[0] == 0 && a->word[1] == 0 && a->word[2] == MAPPED_WORD;
}

static __always_inline int address_equal(const struct cw_address* a, const struct cw_address* b) {
  return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] && a->word[3] == b->word[3];
}

static __always_inline int socket_address_equal(const struct cw_socket_address* a, const struct cw_socket_address* b) {
  return a->port == b->port && address_equal(&a->ip, &b->ip);
}

/* 127.0.0.1 or ::1. */
static __always_inline int address_is_localhost(const struct cw_address* a) {
  if (address_is_v4(a)) return a->word[3] == LOOPBACK_V4;
  return a->word[0] == 0 && a->word[1] == 0 && a->word[2] == 0 && a->word[3] == bpf_htonl(1);
}

/* 127.0.0.0/8 or ::1. */
static __always_inline int address_is_loopback(const struct cw_address* a) {
  if (address_is_v4(a)) return (a->word[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
  return address_is_localhost(a);
}

/* 0.0.0.0 or ::; a dial of it is a dial of localhost. */
static __always_inline int address_is_any(const struct cw_address* a) {
  return a->word[3] == 0 && (address_is_v4(a) || (a->word[0] == 0 && a->word[1] == 0 && a->word[2] == 0));
}

static __always_inline int address_in(const struct cw_address* a, const volatile struct cw_address* base,
                                      const volatile struct cw_address* mask) {
  return (a->word[0] & mask->word[0]) == base->word[0] && (a->word[1] & mask->word[1]) == base->word[1] &&
         (a->word[2] & mask->word[2]) == base->word[2] && (a->word[3] & mask->word[3]) == base->word[3];
}

static __always_inline struct cw_socket_address constant(const volatile struct cw_socket_address* from) {
  struct cw_socket_address to = {
      {{from->ip.word[0], from->ip.word[1], from->ip.word[2], from->ip.word[3]}}, from->port, 0};
  return to;
}
