#pragma once
// How long a message's body is and whether its connection lives on (RFC 9112, 6.3 and 9.3).
#include <cstdint>

#include "http/head.h"

namespace causeway::http {

enum class BodyKind : std::uint8_t {
  none,
  length,  ///< `Framing::length` bytes, more than 0
  chunked,
  until_close,  ///< a response only
  tunnel,       ///< after 101: bytes of another protocol in both directions
};

struct Framing {
  BodyKind kind = BodyKind::none;
  std::uint64_t length = 0;
  bool operator==(const Framing&) const = default;
};

Framing request_framing(const RequestHead& head);

/// `request` is the one that is answered: HEAD has no body, and 101 makes a tunnel if it wants_upgrade.
/// 101 without that is a violation the caller answers with 502: see is_unexpected_upgrade().
Framing response_framing(const RequestHead& request, const ResponseHead& head);

/// 101 to a request that did not ask for it, in HTTP/1.0, or without an Upgrade that names what was offered (RFC 9110,
/// 7.8 and 15.2.2). `request`'s bytes are still where they were parsed.
bool is_unexpected_upgrade(const RequestHead& request, const ResponseHead& head);

/// 1xx but 101: forwarded (not to an HTTP/1.0 client), then another head follows.
bool is_interim(const ResponseHead& head);

/// Whether the client wants to send another request on this connection.
bool client_persists(const RequestHead& head);

/// Whether the upstream connection may be pooled once the body is complete: not after a GET, HEAD, DELETE, OPTIONS or
/// TRACE with a body, which a server may leave unread and take for its next request (RFC 9110, 9.3.1). The caller also checks that no byte came
/// beyond the message and that the request was sent whole (a server may answer early): else it is closed.
bool upstream_persists(const RequestHead& request, const ResponseHead& head, const Framing& framing);

}  // namespace causeway::http
