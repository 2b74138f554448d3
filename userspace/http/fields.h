#pragma once
// The field lines of a head, the same for requests and responses. Inside http/ only.
#include <string_view>

#include "http/head.h"

namespace causeway::http {

/// Fills `head` from its field_block and minor. complete; or bad with 400, or with 501 for a transfer coding other than
/// chunked where nothing else is wrong.
Verdict parse_fields(Head& head);

/// Whether every byte may stand in a field's value or a reason phrase.
bool is_field_value(std::string_view text);

}  // namespace causeway::http
