#pragma once
// Serialises a forwarded head: hop-by-hop fields out (RFC 9110, 7.6.1), ours in, everything else copied as it came.
#include <string>
#include <string_view>

#include "base/random.h"
#include "http/framing.h"
#include "http/head.h"

namespace causeway::http {

struct RequestRewrite {
  /// Makes x-request-id where the request has no fit one, see own_request_id(); null: none is made.
  Random* random = nullptr;
  /// x-forwarded-proto ("http"), in place of what the client says; empty: the client's goes on.
  std::string_view forwarded_proto = {};
  std::string_view default_host = {};  ///< Host for an HTTP/1.0 request that has none: the alias's name
};

inline constexpr std::size_t kMaxRequestId = 128;

/// The client's x-request-id: 1 to kMaxRequestId visible ASCII characters, given once and not named by Connection; else
/// empty. A view into the parsed bytes.
std::string_view own_request_id(const RequestHead& head);

/// Appends the head to be sent upstream, always as HTTP/1.1: origin-form (or `*`), Host of the target where it was in
/// absolute-form (RFC 9112, 3.2.2), `connection: upgrade` if it wants_upgrade and no Connection otherwise (the upstream
/// connection persists), Expect dropped for HTTP/1.0, x-request-id (a version 4 UUID) and x-forwarded-proto as
/// `rewrite` says. `head`'s method is not CONNECT. `out` keeps its capacity.
void append_request_head(const RequestHead& head, const RequestRewrite& rewrite, std::string& out);

struct ResponseRewrite {
  std::uint8_t client_minor = 1;  ///< of the request's version
  /// Whether the connection to the client stays open after this response: client_persists(), and not for until_close.
  bool keep_alive = true;
  /// Transfer-Encoding is taken off because the client speaks HTTP/1.0: the caller sends the payload alone
  /// (BodyReader::next) and closes. See needs_dechunking().
  bool dechunk = false;
};

/// An HTTP/1.0 client cannot read a chunked body (RFC 9112, 6.1).
bool needs_dechunking(const RequestHead& request, const Framing& response);

/// Appends the head to be sent to the client. 101 keeps its Upgrade with `connection: upgrade`; an interim or 204
/// response loses Content-Length and Transfer-Encoding (RFC 9110, 8.6); the last response of a connection gets
/// `connection: close`, one kept open for an HTTP/1.0 client `connection: keep-alive`.
void append_response_head(const ResponseHead& head, const ResponseRewrite& rewrite, std::string& out);

}  // namespace causeway::http
