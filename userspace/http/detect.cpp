#include "http/detect.h"

#include <algorithm>
#include <array>

#include "http/chars.h"

namespace causeway::http {

namespace {

/// CONNECT is not among them: see detect().
constexpr std::array<std::string_view, 15> kMethods{"GET",   "POST",     "HEAD",      "PUT",   "DELETE",
                                                    "PATCH", "OPTIONS",  "TRACE",     "COPY",  "MOVE",
                                                    "LOCK",  "PROPFIND", "PROPPATCH", "MKCOL", "UNLOCK"};
constexpr std::size_t kDetectedMethod = 24;

/// `text` is, or begins like, one of `lower`s.
Detection begins_like(std::string_view text, std::string_view lower) {
  const std::size_t common = std::min(text.size(), lower.size());
  if (!equals_lower(text.substr(0, common), lower.substr(0, common))) return Detection::other;
  return common == lower.size() ? Detection::http1 : Detection::need_more;
}

/// The first byte or bytes of a target.
Detection detect_target(std::string_view method, std::string_view target) {
  if (target.empty()) return Detection::need_more;
  if (target.front() == '/') return Detection::http1;
  if (target.front() == '*') return method == "OPTIONS" ? begins_like(target, "* ") : Detection::other;
  const Detection http = begins_like(target, "http://");
  return http != Detection::other ? http : begins_like(target, "https://");
}

/// An unknown method: only a whole request line with its version makes it HTTP.
Detection detect_line(std::string_view line) {
  const std::size_t lf = line.find('\n');
  if (lf == std::string_view::npos) return Detection::need_more;
  const std::string_view end = line.substr(0, lf);
  return end.ends_with(" HTTP/1.1\r") || end.ends_with(" HTTP/1.0\r") ? Detection::http1 : Detection::other;
}

}  // namespace

Detection detect(std::string_view first_bytes) {
  const std::string_view bytes = first_bytes.substr(0, kDetectBytes);
  const std::size_t space = bytes.find(' ');
  const std::string_view method = bytes.substr(0, space);
  // Registered methods are upper-case letters with hyphens. This drops most other protocols at their first byte.
  const bool shaped =
      std::all_of(method.begin(), method.end(), [](char c) { return (c >= 'A' && c <= 'Z') || c == '-'; });
  if (!shaped || method.size() > kDetectedMethod || space == 0) return Detection::other;
  if (space == std::string_view::npos) return Detection::need_more;

  const std::string_view target = bytes.substr(space + 1);
  const bool known = std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end();
  if (method == "CONNECT") return Detection::other;
  Detection result = detect_target(method, target);
  if (result == Detection::http1 && !known) result = detect_line(target);
  if (result == Detection::need_more && first_bytes.size() >= kDetectBytes) return Detection::other;
  return result;
}

}  // namespace causeway::http
