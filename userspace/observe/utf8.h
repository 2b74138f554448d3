#pragma once
// UTF-8 (RFC 3629) from strangers, one character at a time.
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace causeway::observe {

struct Utf8 {
  std::uint32_t code_point = 0;  ///< U+FFFD if it is not valid
  std::size_t bytes = 1;         ///< that it takes of the text; 1 if it is not valid
  bool valid = false;
};

/// The first character of `text`, which is not empty. Overlong forms, surrogates and what is beyond U+10FFFF are not
/// valid.
Utf8 decode_utf8(std::string_view text);

/// Must not stand in a line of a log as it is: controls, `"` and `\`, what some programs take for the end of a line
/// (U+0085, U+2028, U+2029), and what turns the direction of the text around it. All are below U+10000.
bool is_unsafe(std::uint32_t code_point);

}  // namespace causeway::observe
