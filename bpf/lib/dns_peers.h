/* Who sent a DNS query, for a server that has no accept() to tell it.
 *
 * An LRU map: a UDP socket tells nobody its source address when it closes, and an entry is needed only from the query's
 * departure to its arrival over loopback. Every query of an intercepted process to the agent's DNS publishes before it
 * leaves, those that ask it directly too, so a port that changes hands never lends its old owner's name to the new one.
 */
#pragma once

#include "address.h"
#include "causeway/abi/maps.h"
#include "causeway/abi/origin.h"

#define MAX_DNS_PEERS 8192

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, MAX_DNS_PEERS);
  __type(key, struct cw_socket_address);
  __type(value, struct cw_udp_peer);
} dns_peers __weak SEC(".maps");

static __always_inline void publish_peer(const struct cw_socket_address* source, const struct cw_origin* query) {
  struct cw_udp_peer peer = {};
  __builtin_memcpy(&peer.resolver.ip, query->dst_addr, sizeof peer.resolver.ip);
  peer.resolver.port = query->dst_port;
  peer.namespace_number = query->namespace_number;
  peer.client_id = query->client_id;
  bpf_map_update_elem(&dns_peers, source, &peer, BPF_ANY);
}
