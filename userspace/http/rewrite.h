#pragma once
// Serialises a forwarded head: hop-by-hop fields out (RFC 9110, 7.6.1), ours in, everything else copied as it came.
#include <string>
#include <string_view>

#include "http/framing.h"
#include "http/head.h"

namespace causeway::http {

struct RequestRewrite {
  std::string_view request_id = {};       ///< x-request-id, if the request has none; empty: none is added
  std::string_view forwarded_proto = {};  ///< x-forwarded-proto, if the request has none ("http"); empty: none is added
  std::string_view default_host = {};     ///< Host for an HTTP/1.0 request that has none: the alias's name
};

/// Appends the head to be sent upstream, always as HTTP/1.1: origin-form (or `*`), Host of the target where it was in
/// absolute-form (RFC 9112, 3.2.2), `connection: upgrade` if it wants_upgrade and no Connection otherwise (the upstream
/// connection persists), Expect dropped for HTTP/1.0. `head`'s method is not CONNECT. `out` keeps its capacity.
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
