#include "http_cases.h"

#include <fstream>
#include <stdexcept>

#include <gtest/gtest.h>

#include "http/chars.h"

namespace causeway::http {

namespace {

const std::string kAddedId = "x-request-id: " + std::string(kCaseRequestId) + "\r\n";
const std::string kAddedProto = "x-forwarded-proto: http\r\n";

std::string unescape(std::string_view text);

/// \{N*TEXT}, from behind the brace; takes it off.
std::string repeated(std::string_view& text) {
  const std::size_t star = text.find('*');
  const std::size_t end = text.find('}');
  if (star == std::string_view::npos || end == std::string_view::npos || star > end)
    throw std::runtime_error("\\{N*TEXT}");
  const auto times = std::stoul(std::string(text.substr(0, star)));
  const std::string once = unescape(text.substr(star + 1, end - star - 1));
  text.remove_prefix(end + 1);
  std::string all;
  for (unsigned long i = 0; i < times; ++i) all += once;
  return all;
}

std::string unescape(std::string_view text) {
  std::string bytes;
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c != '\\') {
      if (c < ' ' || c > '~') throw std::runtime_error("a byte that is neither visible nor escaped");
      bytes += c;
      continue;
    }
    const char kind = text.empty() ? ' ' : text.front();
    text.remove_prefix(text.empty() ? 0 : 1);
    if (kind == 'r')
      bytes += '\r';
    else if (kind == 'n')
      bytes += '\n';
    else if (kind == 't')
      bytes += '\t';
    else if (kind == '0')
      bytes += '\0';
    else if (kind == '\\')
      bytes += '\\';
    else if (kind == 'i')
      bytes += kAddedId;
    else if (kind == 'p')
      bytes += kAddedProto;
    else if (kind == '+')
      bytes += kAddedId + kAddedProto;
    else if (kind == '{')
      bytes += repeated(text);
    else if (kind == 'x' && text.size() >= 2 && all(text.substr(0, 2), kHex)) {
      bytes += static_cast<char>(std::stoul(std::string(text.substr(0, 2)), nullptr, 16));
      text.remove_prefix(2);
    } else
      throw std::runtime_error("an unknown escape");
  }
  return bytes;
}

std::string next_word(std::string_view& text) {
  const std::size_t space = text.find(' ');
  const std::string word(text.substr(0, space));
  text = space == std::string_view::npos ? std::string_view{} : text.substr(space + 1);
  return word;
}

CaseVerdict parse_verdict(std::string_view text) {
  CaseVerdict verdict;
  verdict.word = next_word(text);
  if (verdict.word != "pass") {
    verdict.reason = text;
    return verdict;
  }
  if (text.empty()) return verdict;
  if (next_word(text) != "body") throw std::runtime_error("`body` is missing");
  const std::string kind = next_word(text);
  if (kind == "length")
    verdict.body = BodyKind::length;
  else if (kind == "chunked")
    verdict.body = BodyKind::chunked;
  else if (kind == "close")
    verdict.body = BodyKind::until_close;
  else if (kind == "tunnel")
    verdict.body = BodyKind::tunnel;
  else
    throw std::runtime_error("an unknown body");
  verdict.body_bytes = std::stoul(std::string(text));
  return verdict;
}

void take_line(std::string_view line, std::vector<HttpCase>& cases) {
  const std::string word = next_word(line);
  if (word == "case") {
    cases.push_back({.name = std::string(line)});
    return;
  }
  if (cases.empty()) throw std::runtime_error("before the first case");
  HttpCase& current = cases.back();
  if (word == "to")
    current.to += unescape(line);
  else if (word == "in")
    current.in += unescape(line);
  else if (word == "verdict")
    current.verdicts.push_back(parse_verdict(line));
  else if (word == "out" && !current.verdicts.empty()) {
    auto& out = current.verdicts.back().out;
    out = out.value_or("") + unescape(line);
  } else
    throw std::runtime_error("an unknown word");
}

}  // namespace

std::vector<HttpCase> load_http_cases(const std::string& file) {
  const std::string path = std::string(CAUSEWAY_SOURCE_DIR) + "/tests/http_cases/" + file;
  std::ifstream stream(path);
  if (!stream) throw std::runtime_error(path + " cannot be read");
  std::vector<HttpCase> cases;
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    if (line.empty() || line.front() == '#') continue;
    try {
      take_line(line, cases);
    } catch (const std::exception& error) {
      throw std::runtime_error(path + ":" + std::to_string(number) + ": " + error.what());
    }
  }
  return cases;
}

void PrintTo(const HttpCase& http_case, std::ostream* out) {
  *out << testing::PrintToString(http_case.in.substr(0, 500));
}

}  // namespace causeway::http
