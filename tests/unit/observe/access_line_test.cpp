#include "observe/access_line.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "observe/utf8.h"

namespace causeway::observe {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

constexpr AccessLogSettings kText{AccessLogFormat::text, false};
constexpr AccessLogSettings kJson{AccessLogFormat::json, false};

std::string line_of(const AccessRecord& record, const AccessLogSettings& settings) {
  TimeText time;
  std::string out(kMaxLine, '\0');
  out.resize(format_line(record, settings, time, out.data()));
  return out;
}

AccessRecord full_record() {
  AccessRecord record;
  record.start = WallTime(std::chrono::sys_days{std::chrono::year(2024) / 2 / 29} + 23h + 59min + 8s + 7ms);
  record.duration = 12'345'678ns;
  record.first_byte = 950us;
  record.protocol = "HTTP/1.1";
  record.method = "GET";
  record.path = "/users/1?token=secret";
  record.authority = "user-svc";
  record.request_id = "3f2a";
  record.status = 503;
  record.flags.set(Flag::connect_failure);
  record.flags.set(Flag::retries_exhausted);
  record.reason = "connection refused";
  record.bytes_received = 100;
  record.bytes_sent = 4'000'000'000;
  record.retries = 2;
  record.client = "host";
  record.namespace_name = "myapp.local";
  record.discovery_name = "user-service";
  record.peer = SocketAddress::parse("127.0.0.1:40000");
  record.upstream = SocketAddress::parse("[2001:db8::1]:3000");
  return record;
}

TEST(AccessLine, WritesEveryFieldAsText) {
  EXPECT_EQ(
      line_of(full_record(), kText),
      "[2024-02-29T23:59:08.007Z] \"GET /users/1 HTTP/1.1\" 503 UF,URX \"connection refused\" 100 4000000000 12.345 "
      "0.950 2 \"host\" \"myapp.local\" \"user-service\" \"user-svc\" \"3f2a\" 127.0.0.1:40000 [2001:db8::1]:3000\n");
}

TEST(AccessLine, WritesEveryFieldAsJson) {
  EXPECT_EQ(
      line_of(full_record(), kJson),
      "{\"start_time\":\"2024-02-29T23:59:08.007Z\",\"method\":\"GET\",\"path\":\"/users/1\",\"protocol\":\"HTTP/1.1\","
      "\"status\":503,\"flags\":[\"UF\",\"URX\"],\"reason\":\"connection refused\",\"bytes_received\":100,"
      "\"bytes_sent\":4000000000,\"duration_ms\":12.345,\"first_byte_ms\":0.950,\"retries\":2,\"client\":\"host\","
      "\"namespace\":\"myapp.local\",\"discovery_name\":\"user-service\",\"authority\":\"user-svc\","
      "\"request_id\":\"3f2a\",\"peer\":\"127.0.0.1:40000\",\"upstream\":\"[2001:db8::1]:3000\"}\n");
}

TEST(AccessLine, WritesWhatIsNotThere) {
  AccessRecord record;
  record.protocol = "TCP";
  EXPECT_EQ(line_of(record, kText),
            "[1970-01-01T00:00:00.000Z] \"- - TCP\" 0 - \"-\" 0 0 0.000 - 0 \"-\" \"-\" \"-\" \"-\" \"-\" - -\n");
  EXPECT_EQ(
      line_of(record, kJson),
      "{\"start_time\":\"1970-01-01T00:00:00.000Z\",\"method\":null,\"path\":null,\"protocol\":\"TCP\",\"status\":0,"
      "\"flags\":[],\"reason\":null,\"bytes_received\":0,\"bytes_sent\":0,\"duration_ms\":0.000,\"first_byte_ms\":null,"
      "\"retries\":0,\"client\":null,\"namespace\":null,\"discovery_name\":null,\"authority\":null,\"request_id\":null,"
      "\"peer\":null,\"upstream\":null}\n");
}

TEST(AccessLine, DropsTheQueryUnlessAskedFor) {
  struct Case {
    const char* path;
    const char* without;
    const char* with;
  };
  for (const Case& c : {Case{"/a?b=c", "/a", "/a?b=c"}, Case{"/a", "/a", "/a"}, Case{"?b", "/", "/?b"},
                        Case{"*", "*", "*"}, Case{"/a?b?c", "/a", "/a?b?c"}, Case{"/?", "/", "/?"}}) {
    AccessRecord record;
    record.path = c.path;
    for (const auto format : {AccessLogFormat::text, AccessLogFormat::json}) {
      const bool text = format == AccessLogFormat::text;
      const auto shown = [&](std::string_view path) {
        return text ? "\"- " + std::string(path) + " -\"" : "\"path\":\"" + std::string(path) + "\"";
      };
      const auto without = line_of(record, {format, false});
      const auto with = line_of(record, {format, true});
      EXPECT_NE(without.find(shown(c.without)), std::string::npos) << without;
      EXPECT_NE(with.find(shown(c.with)), std::string::npos) << with;
    }
  }
}

TEST(AccessLine, EscapesWhatStrangersSent) {
  struct Case {
    std::string sent;
    std::string text;
    std::string json;
  };
  const Case cases[] = {
      {"plain ~", "plain ~", "plain ~"},
      {"a\"b\\c", R"(a\x22b\x5cc)", R"(a\"b\\c)"},
      {"a\nb\rc\td"s, R"(a\x0ab\x0dc\x09d)", R"(a\u000ab\u000dc\u0009d)"},
      {"nul\0."s, R"(nul\x00.)", R"(nul\u0000.)"},
      {"\x1b[31m\x7f", R"(\x1b[31m\x7f)", R"(\u001b[31m\u007f)"},
      {"\xc3\xa9\xf0\x9f\x98\x80", R"(\xc3\xa9\xf0\x9f\x98\x80)", "\xc3\xa9\xf0\x9f\x98\x80"},
      {"\xc2\x85|\xe2\x80\xa8|\xe2\x80\xa9", R"(\xc2\x85|\xe2\x80\xa8|\xe2\x80\xa9)", R"(\u0085|\u2028|\u2029)"},
      {"\xe2\x80\xae\xe2\x81\xa6", R"(\xe2\x80\xae\xe2\x81\xa6)", R"(\u202e\u2066)"},
      {"\xff\xc3(\x80", R"(\xff\xc3(\x80)", R"(\ufffd\ufffd(\ufffd)"},
      {"\xc0\xaf\xe0\x80\xaf", R"(\xc0\xaf\xe0\x80\xaf)", R"(\ufffd\ufffd\ufffd\ufffd\ufffd)"},
      {"\xed\xa0\x80", R"(\xed\xa0\x80)", R"(\ufffd\ufffd\ufffd)"},
      {"\xf4\x90\x80\x80", R"(\xf4\x90\x80\x80)", R"(\ufffd\ufffd\ufffd\ufffd)"},
      {"cut \xe2\x82", R"(cut \xe2\x82)", R"(cut \ufffd\ufffd)"},
  };
  for (const auto& c : cases) {
    AccessRecord record;
    record.request_id = c.sent;
    const auto text = line_of(record, kText);
    const auto json = line_of(record, kJson);
    EXPECT_NE(text.find("\"" + c.text + "\" - -\n"), std::string::npos) << text;
    EXPECT_NE(json.find("\"request_id\":\"" + c.json + "\","), std::string::npos) << json;
  }
}

TEST(AccessLine, StaysOneLineOfBoundedLengthWhateverItHolds) {
  for (const char byte : {'a', '"', '\n', '\0', '\xff', '\xc3'}) {
    const std::string much(100'000, byte);
    AccessRecord record = full_record();
    record.start = WallTime::max();
    record.duration = std::chrono::nanoseconds::max();
    record.first_byte = std::chrono::nanoseconds::max();
    record.status = 65535;
    record.bytes_received = record.bytes_sent = UINT64_MAX;
    record.retries = UINT32_MAX;
    for (std::size_t i = 0; i < static_cast<std::size_t>(Flag::count); ++i) record.flags.set(static_cast<Flag>(i));
    record.peer = record.upstream = SocketAddress::parse("[1111:1111:1111:1111:1111:1111:1111:1111]:65535");
    record.method = record.path = record.protocol = record.authority = record.request_id = much;
    record.reason = record.client = record.namespace_name = record.discovery_name = much;
    for (const auto& settings : {kText, kJson}) {
      const auto line = line_of(record, settings);
      EXPECT_LE(line.size(), kMaxLine);
      EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
      EXPECT_EQ(line.back(), '\n');
      EXPECT_NE(line.find("...\""), std::string::npos) << "what was cut says so";
    }
  }
}

TEST(AccessLine, CutsNoEscapeAndNoCharacterInTheMiddle) {
  for (std::size_t before = kMaxText - 8; before <= kMaxText; ++before) {
    AccessRecord record;
    const std::string sent = std::string(before, 'a') + "\xf0\x9f\x98\x80\n";
    record.request_id = sent;
    const auto text = line_of(record, kText);
    const auto json = line_of(record, kJson);
    const auto cut = text.find("...\" - -\n");
    ASSERT_NE(cut, std::string::npos) << text;
    const auto escape = text.rfind('\\', cut);
    if (escape != std::string::npos) {
      EXPECT_LE(escape + 4, cut) << text;
    }
    for (std::string_view rest = json; !rest.empty(); rest.remove_prefix(decode_utf8(rest).bytes))
      ASSERT_TRUE(decode_utf8(rest).valid) << json;
  }
}

TEST(AccessLine, ThePageTellsEveryFlagAndField) {
  std::ifstream file(CAUSEWAY_SOURCE_DIR "/docs/access-log.md");
  std::stringstream all;
  all << file.rdbuf();
  const std::string page = all.str();
  for (const auto& flag : flags_table()) {
    const auto row = "\n| `" + std::string(flag.name) + "` | " + std::string(flag.meaning) + " |\n";
    EXPECT_NE(page.find(row), std::string::npos) << row;
  }
  const std::string line = line_of(full_record(), kJson);
  for (std::size_t at = line.find("\":"); at != std::string::npos; at = line.find("\":", at + 1)) {
    const auto begin = line.rfind('"', at - 1) + 1;
    const auto field = "`" + line.substr(begin, at - begin) + "`";
    EXPECT_NE(page.find(field), std::string::npos) << field;
  }
}

TEST(AccessLine, RemembersTheSecondAndNotMore) {
  TimeText time;
  const WallTime day{std::chrono::sys_days{std::chrono::year(2023) / 12 / 31}};
  EXPECT_EQ(time.of(day + 24h - 1ms), "2023-12-31T23:59:59.999Z");
  EXPECT_EQ(time.of(day + 24h), "2024-01-01T00:00:00.000Z");
  EXPECT_EQ(time.of(day + 24h + 15ms), "2024-01-01T00:00:00.015Z");
  EXPECT_EQ(time.of(day), "2023-12-31T00:00:00.000Z") << "the clock may be set back";
}

}  // namespace
}  // namespace causeway::observe
