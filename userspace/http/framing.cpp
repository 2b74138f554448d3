#include "http/framing.h"

#include "http/chars.h"

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

bool is_offered(const RequestHead& request, std::string_view protocol) {
  const Field* offer = request.find(FieldId::upgrade);
  for (std::string_view list = offer->value; !list.empty();) {
    if (equals_ignoring_case(next_element(list), protocol)) return true;
  }
  return false;
}

/// An answer that names more is none: each is looked for among what the request offers.
constexpr unsigned kMaxProtocols = 8;

/// Every protocol of every Upgrade, at least one, is one that `request`, which wants_upgrade, offers.
bool switches_as_offered(const RequestHead& request, const ResponseHead& head) {
  unsigned protocols = 0;
  for (const Field& field : head.fields) {
    if (field.id != FieldId::upgrade) continue;
    for (std::string_view list = field.value; !list.empty();) {
      const std::string_view protocol = next_element(list);
      if (protocol.empty()) continue;
      if (++protocols > kMaxProtocols || !is_offered(request, protocol)) return false;
    }
  }
  return protocols > 0;
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
  if (head.status != 101) return false;
  return !request.wants_upgrade || head.minor == 0 || !head.connection_upgrade || !switches_as_offered(request, head);
}

bool is_interim(const ResponseHead& head) {
  return head.status < 200 && head.status != 101;
}

bool client_persists(const RequestHead& head) {
  return wants_persistence(head);
}

/// RFC 9110, 9.3.1 to 9.3.8: the methods whose content means nothing, so that some servers do not look for any.
bool may_leave_body_unread(Method method) {
  return method == Method::get || method == Method::head || method == Method::del || method == Method::options ||
         method == Method::trace;
}

bool upstream_persists(const RequestHead& request, const ResponseHead& head, const Framing& framing) {
  if (may_leave_body_unread(request.method) && request_framing(request).kind != BodyKind::none) return false;
  if (framing.kind == BodyKind::until_close || framing.kind == BodyKind::tunnel) return false;
  // RFC 9110, 8.6 and RFC 9112, 6.1: no framing in a 1xx or 204 response. A server that sends it may send a body, too.
  const bool framed = head.chunked || head.content_length.value_or(0) > 0;
  if (framed && (head.status < 200 || head.status == 204)) return false;
  return wants_persistence(head);
}

}  // namespace causeway::http
