#include "http/response.h"

#include <iterator>

#include <fmt/format.h>

namespace causeway::http {

namespace {

/// After these the stream's position is not to be trusted, or the client did not finish its request.
bool always_closes(std::uint16_t status) {
  return status == 400 || status == 408 || status == 414 || status == 431 || status == 501 || status == 505;
}

}  // namespace

std::string_view reason_phrase(std::uint16_t status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 421:
      return "Misdirected Request";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

unsigned status_class(std::uint16_t status) {
  if (status < 100) return 0;
  return status >= 600 ? 5 : status / 100u;
}

void append_answer(const Answer& answer, std::string& out) {
  const bool close = answer.close || always_closes(answer.status);
  const std::string_view phrase = reason_phrase(answer.status);
  const std::string_view detail = answer.detail.empty() ? phrase : answer.detail;
  fmt::format_to(
      std::back_inserter(out),
      "HTTP/1.1 {} {}\r\nserver: causeway\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n",
      answer.status, phrase, detail.size() + 1);
  if (answer.status == 405) out += "allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, TRACE\r\n";
  if (close) {
    out += "connection: close\r\n";
  } else if (answer.client_minor == 0) {
    out += "connection: keep-alive\r\n";
  }
  out += "\r\n";
  if (answer.to_head) return;
  for (const char c : detail) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  out += '\n';
}

}  // namespace causeway::http
