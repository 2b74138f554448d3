#pragma once
// The field lines of a head, the same for requests and responses. Inside http/ only.
#include <string_view>

#include "http/head.h"

namespace causeway::http {

/// Fills `head` from its field_block and minor. Returns why it is refused, or an empty view.
std::string_view parse_fields(Head& head);

/// Whether every byte may stand in a field's value or a reason phrase.
bool is_field_value(std::string_view text);

}  // namespace causeway::http
