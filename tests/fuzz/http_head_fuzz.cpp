// Heads: any split gives the verdict of the whole; what is accepted and rewritten is accepted again, with the same
// framing, and a second rewrite finds nothing to change.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "check.h"
#include "http/detect.h"
#include "http/framing.h"
#include "http/head.h"
#include "http/rewrite.h"

namespace {

using namespace causeway::http;

constexpr HeadLimits kLimits{4096, 40};

/// The verdict of the parser that got the bytes in pieces of `piece`.
template <class Parser>
Verdict parse_in_pieces(std::string_view text, std::size_t piece, Parser& parser) {
  Verdict verdict;
  for (std::size_t end = piece; verdict.outcome == Outcome::need_more; end += piece) {
    verdict = parser.parse(text.substr(0, end));
    if (end >= text.size()) break;
  }
  return verdict;
}

template <class Parser>
std::optional<Parser> check_splits(std::string_view text) {
  Parser whole(kLimits);
  const Verdict expected = whole.parse(text);
  for (const std::size_t piece : {1u, 7u}) {
    Parser parser(kLimits);
    const Verdict verdict = parse_in_pieces(text, piece, parser);
    FUZZ_CHECK(verdict.outcome == expected.outcome);
    if (verdict.outcome == Outcome::complete) FUZZ_CHECK(parser.head().length == whole.head().length);
  }
  FUZZ_CHECK((expected.outcome == Outcome::bad) == !expected.reason.empty());
  if (expected.outcome != Outcome::complete) return std::nullopt;
  FUZZ_CHECK(whole.head().length <= text.size());
  FUZZ_CHECK(!(whole.head().chunked && whole.head().content_length));
  return whole;
}

void check_no_hop_by_hop(const Head& head, bool upgrade) {
  FUZZ_CHECK(!head.has(FieldId::keep_alive));
  FUZZ_CHECK(!head.has(FieldId::proxy_connection));
  FUZZ_CHECK(!head.has(FieldId::te));
  FUZZ_CHECK(upgrade || !head.has(FieldId::upgrade));
}

void check_request(std::string_view text) {
  const auto parsed = check_splits<RequestParser>(text);
  if (!parsed || parsed->head().method == Method::connect) return;
  const RequestHead& head = parsed->head();
  FUZZ_CHECK(head.minor == 0 || head.has(FieldId::host));
  causeway::FastRandom random(1);
  const RequestRewrite rewrite{&random, "http", "alias"};
  std::string once;
  append_request_head(head, rewrite, once);

  RequestParser next;
  FUZZ_CHECK(next.parse(once).outcome == Outcome::complete);
  FUZZ_CHECK(next.head().length == once.size());
  FUZZ_CHECK(next.head().method == head.method);
  FUZZ_CHECK(request_framing(next.head()) == request_framing(head));
  FUZZ_CHECK(next.head().wants_upgrade == head.wants_upgrade);
  FUZZ_CHECK(next.head().form == TargetForm::origin || next.head().form == TargetForm::asterisk);
  FUZZ_CHECK(next.head().has(FieldId::host) && !own_request_id(next.head()).empty());
  const Field* proto = next.head().find(FieldId::x_forwarded_proto);
  FUZZ_CHECK(proto != nullptr && proto->value == "http" && proto == &next.head().fields.back());
  if (head.form == TargetForm::absolute) FUZZ_CHECK(next.head().authority == head.authority);
  check_no_hop_by_hop(next.head(), head.wants_upgrade);
  if (!head.wants_upgrade) {
    std::string twice;
    append_request_head(next.head(), rewrite, twice);
    FUZZ_CHECK(once == twice);
  }
}

void check_response(std::string_view text) {
  const auto parsed = check_splits<ResponseParser>(text);
  if (!parsed) return;
  const ResponseHead& head = parsed->head();
  RequestHead get;
  get.method = Method::get;
  get.wants_upgrade = true;
  for (const bool keep_alive : {true, false}) {
    std::string out;
    append_response_head(head, {1, keep_alive, false}, out);
    ResponseParser next;
    FUZZ_CHECK(next.parse(out).outcome == Outcome::complete);
    FUZZ_CHECK(next.head().length == out.size());
    FUZZ_CHECK(next.head().status == head.status && next.head().reason == head.reason);
    FUZZ_CHECK(response_framing(get, next.head()) == response_framing(get, head));
    if (head.status >= 200) FUZZ_CHECK(next.head().connection_close == !keep_alive);
    check_no_hop_by_hop(next.head(), head.status == 101 || head.status == 426);
  }
  std::string old;
  append_response_head(head, {0, false, head.chunked}, old);
  ResponseParser next;
  FUZZ_CHECK(next.parse(old).outcome == Outcome::complete);
  FUZZ_CHECK(!head.chunked || !next.head().chunked);
}

void check_detect(std::string_view text) {
  const Detection whole = detect(text);
  for (std::size_t i = 0; i < text.size() && i < 64; ++i) {
    const Detection early = detect(text.substr(0, i));
    FUZZ_CHECK(early == Detection::need_more || early == whole);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_request(text);
  check_response(text);
  check_detect(text);
  return 0;
}
