#pragma once
#include <string>
#include <string_view>

namespace causeway {

/// Of a stranger's text, as much as an error shows: at most `most` bytes and an ellipsis, cut between characters where
/// it is UTF-8.
inline std::string shown(std::string_view text, std::size_t most = 60) {
  if (text.size() <= most) return std::string(text);
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "…";
}

}  // namespace causeway
