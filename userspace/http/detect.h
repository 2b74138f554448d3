#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace causeway::http {

enum class Detection : std::uint8_t { http1, other, need_more };

/// After this many bytes detect() no longer answers need_more.
inline constexpr std::size_t kDetectBytes = 2048;

/// Whether a connection's first bytes are an HTTP/1 request. A known method, a space and the beginning of a target
/// decide at once; another method token needs its whole request line. The HTTP/2 preface is `other`, and so is CONNECT:
/// a service behind an alias that is itself a forward proxy gets its bytes untouched.
/// Protocols in which the server speaks first send nothing here: the caller bounds its wait.
Detection detect(std::string_view first_bytes);

}  // namespace causeway::http
