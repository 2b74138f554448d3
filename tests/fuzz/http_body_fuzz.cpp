// Chunked bodies: any split gives the verdict and the end of the whole, and the payload of an accepted body is what a
// plain decoder, written otherwise, makes of it. The first byte chooses how the bytes are split.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "check.h"
#include "http/body.h"

namespace {

using namespace causeway::http;

constexpr Framing kChunked{BodyKind::chunked, 0};
constexpr BodyLimits kLimits{64, 512};

struct Result {
  Outcome outcome = Outcome::need_more;
  std::size_t consumed = 0;
  std::string payload;
  bool operator==(const Result&) const = default;
};

Result decode(std::string_view text, std::size_t piece) {
  BodyReader reader(kChunked, kLimits);
  Result result;
  while (result.consumed < text.size() && result.outcome == Outcome::need_more) {
    const BodyStep step = reader.next(text.substr(result.consumed, piece));
    FUZZ_CHECK(step.consumed > 0 || step.outcome != Outcome::need_more);
    FUZZ_CHECK((step.outcome == Outcome::bad) == !step.reason.empty());
    result.consumed += step.consumed;
    result.payload += step.data;
    result.outcome = step.outcome;
  }
  FUZZ_CHECK(reader.complete() == (result.outcome == Outcome::complete));
  return result;
}

/// Only for bodies that were accepted: no checks.
std::string plain_decode(std::string_view text) {
  std::string payload;
  for (;;) {
    const std::size_t line_end = text.find("\r\n");
    const std::size_t size = std::strtoull(std::string(text.substr(0, line_end)).c_str(), nullptr, 16);
    if (size == 0) return payload;
    payload += text.substr(line_end + 2, size);
    text.remove_prefix(line_end + 2 + size + 2);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Result whole = decode(text, text.size());
  FUZZ_CHECK(decode(text, 1) == whole);
  FUZZ_CHECK(decode(text, 1u + data[0]) == whole);

  BodyReader through(kChunked, kLimits);
  const BodyStep step = through.read(text);
  FUZZ_CHECK(step.outcome == whole.outcome && step.consumed == whole.consumed);
  if (whole.outcome == Outcome::complete) FUZZ_CHECK(plain_decode(text.substr(0, whole.consumed)) == whole.payload);
  return 0;
}
