#include "http/framing.h"

namespace causeway::http {

namespace {

bool wants_persistence(const Head& head) {
  if (head.connection_close) return false;
  return head.minor >= 1 || head.connection_keep_alive;
}

Framing by_fields(const Head& head, BodyKind otherwise) {
  if (head.chunked) return {BodyKind::chunked, 0};
  if (!head.content_length) return {otherwise, 0};
  if (*head.content_length == 0) return {BodyKind::none, 0};
  return {BodyKind::length, *head.content_length};
}

}  // namespace

Framing request_framing(const RequestHead& head) {
  return by_fields(head, BodyKind::none);
}

Framing response_framing(const RequestHead& request, const ResponseHead& head) {
  if (head.status == 101) return {request.wants_upgrade ? BodyKind::tunnel : BodyKind::none, 0};
  if (request.method == Method::head || head.status < 200 || head.status == 204 || head.status == 304) return {};
  return by_fields(head, BodyKind::until_close);
}

bool is_unexpected_upgrade(const RequestHead& request, const ResponseHead& head) {
  return head.status == 101 && (!request.wants_upgrade || head.minor == 0);
}

bool is_interim(const ResponseHead& head) {
  return head.status < 200 && head.status != 101;
}

bool client_persists(const RequestHead& head) {
  return wants_persistence(head);
}

bool upstream_persists(const ResponseHead& head, const Framing& framing) {
  if (framing.kind == BodyKind::until_close || framing.kind == BodyKind::tunnel) return false;
  // RFC 9112, 6.1: no Transfer-Encoding in a 1xx or 204 response. A server that sends one may send a body, too.
  if (head.chunked && (head.status < 200 || head.status == 204)) return false;
  return wants_persistence(head);
}

}  // namespace causeway::http
