#include "base/result.h"

#include <fmt/core.h>

#include <cstring>

namespace causeway {

std::string Error::message() const {
  if (operation.empty()) return cause;  // told whole by another process
  if (subject.empty()) return fmt::format("{}: {}", operation, cause);
  return fmt::format("{} {}: {}", operation, subject, cause);
}

Error errno_error(int code, std::string_view operation, std::string_view subject) {
  const char* text = ::strerrordesc_np(code);
  return Error{std::string(operation), std::string(subject),
               text != nullptr ? std::string(text) : fmt::format("error {}", code), code};
}

Error make_error(std::string_view operation, std::string_view subject, std::string_view cause) {
  return Error{std::string(operation), std::string(subject), std::string(cause), 0};
}

void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw std::runtime_error(error.message());
}

}  // namespace causeway
