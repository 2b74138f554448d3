#include "http/head.h"

#include "http/chars.h"

namespace causeway::http {

bool is_idempotent(Method method) {
  switch (method) {
    case Method::get:
    case Method::head:
    case Method::put:
    case Method::del:
    case Method::options:
    case Method::trace:
      return true;
    default:
      return false;
  }
}

const Field* Head::find(FieldId id) const {
  if (!has(id)) return nullptr;
  for (const Field& field : fields) {
    if (field.id == id) return &field;
  }
  return nullptr;
}

const Field* Head::find(std::string_view name) const {
  for (const Field& field : fields) {
    if (equals_ignoring_case(field.name, name)) return &field;
  }
  return nullptr;
}

void Head::clear() {
  fields.clear();
  length = 0;
  minor = 1;
  field_block = {};
  content_length.reset();
  chunked = connection_close = connection_keep_alive = connection_upgrade = hop_by_hop = false;
  present = 0;
}

void RequestHead::clear() {
  Head::clear();
  method = Method::other;
  form = TargetForm::origin;
  method_text = target = path = authority = {};
  wants_upgrade = expects_continue = false;
}

void ResponseHead::clear() {
  Head::clear();
  status = 0;
  reason = {};
}

}  // namespace causeway::http
