#pragma once
// The cases of tests/http_cases/*.txt; requests.txt describes the form.
#include <cstddef>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "http/framing.h"

namespace causeway::http {

/// The proxy's x-request-id where every random number is this.
inline constexpr std::uint64_t kCaseRandom = 0x0123456789abcdefu;
inline constexpr std::string_view kCaseRequestId = "01234567-89ab-4def-8123-456789abcdef";

/// What becomes of one message of a case.
struct CaseVerdict {
  std::string word = {};    ///< pass, cut, bad, broken or a status
  std::string reason = {};  ///< a part of it
  BodyKind body = BodyKind::none;
  std::size_t body_bytes = 0;           ///< as they are sent
  std::optional<std::string> out = {};  ///< what goes on; without it: what came
};

struct HttpCase {
  std::string name = {};
  std::string to = {};  ///< responses.txt: the request that is answered
  std::string in = {};
  std::vector<CaseVerdict> verdicts = {};
};

void PrintTo(const HttpCase& http_case, std::ostream* out);

/// Of tests/http_cases/. Throws std::runtime_error that names the line.
std::vector<HttpCase> load_http_cases(const std::string& file);

}  // namespace causeway::http
