#pragma once
// The proxy's own answers.
#include <cstdint>
#include <string>
#include <string_view>

namespace causeway::http {

/// The standard's phrase for a status ("Bad Gateway"), or "Unknown".
std::string_view reason_phrase(std::uint16_t status);

/// The counters' class of a status: 1 to 5. Unregistered classes (RFC 9110, 15) count as 5, no status as 0.
unsigned status_class(std::uint16_t status);

struct Answer {
  std::uint16_t status = 503;
  std::string_view detail =
      {};             ///< one line for a person: what was asked, what is wrong. Control characters become '?'
  bool close = true;  ///< says `connection: close`; the caller then closes. 400, 408, 414, 431, 501, 505 always say it
  bool to_head = false;           ///< the request was HEAD: no body follows, its length is still told
  std::uint8_t client_minor = 1;  ///< HTTP/1.0 clients are told `connection: keep-alive` where it stays open
};

/// Appends a complete response: text/plain, `server: causeway`, the detail as its body.
void append_answer(const Answer& answer, std::string& out);

}  // namespace causeway::http
