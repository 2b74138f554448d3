#include "model/settings_table.h"

#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

namespace causeway {
namespace {

constexpr std::uint64_t kRefused = ~0ull;

std::uint64_t parsed(std::string_view name, std::string_view text) {
  const auto value = parse_setting(*find_setting(name), text);
  return value ? *value : kRefused;
}

TEST(SettingsTable, ReadsValues) {
  struct Case {
    const char *name, *text;
    std::uint64_t value;
  };
  const Case cases[] = {
      {"idle_timeout", "250ms", 250},
      {"idle_timeout", "5s", 5'000},
      {"idle_timeout", "2m", 120'000},
      {"idle_timeout", "1h", 3'600'000},
      {"idle_timeout", "365d", 365ull * 86'400'000},
      {"idle_timeout", "off", 0},
      {"idle_timeout", "0", 0},
      {"idle_timeout", "0s", 0},
      {"idle_timeout", "366d", kRefused},
      {"idle_timeout", "18446744073709551615d", kRefused},
      {"idle_timeout", "5", kRefused},
      {"idle_timeout", "5 s", kRefused},
      {"idle_timeout", "-5s", kRefused},
      {"idle_timeout", "1.5s", kRefused},
      {"idle_timeout", "5S", kRefused},
      {"idle_timeout", "", kRefused},
      {"connect_timeout", "1ms", 1},
      {"connect_timeout", "0", kRefused},
      {"connect_timeout", "off", kRefused},
      {"connect_timeout", "601s", kRefused},
      {"drain_timeout", "0", 0},
      {"max_connections", "1", 1},
      {"max_connections", "0", kRefused},
      {"max_connections", "off", kRefused},
      {"max_connections", "1000000", 1'000'000},
      {"max_connections", "1000001", kRefused},
      {"max_connections", "99999999999999999999", kRefused},
      {"max_connections", "1k", kRefused},
      {"max_endpoint_connections", "off", 0},
      {"max_endpoint_connections", "7", 7},
      {"max_endpoint_connections", "0", kRefused},
      {"max_pending_requests", "0", 0},
      {"retries", "10", 10},
      {"retries", "11", kRefused},
      {"retry_budget", "20%", 20},
      {"retry_budget", "20", 20},
      {"retry_budget", "101%", kRefused},
      {"retry_budget", "20 %", kRefused},
      {"ejection", "on", 1},
      {"ejection", "false", 0},
      {"ejection", "1", kRefused},
      {"ejection", "ON", kRefused},
      {"path", "auto", 0},
      {"path", "kernel", 1},
      {"path", "proxy", 2},
      {"path", "Kernel", kRefused},
      {"path", "1", kRefused},
      {"path", "", kRefused},
  };
  for (const auto& c : cases) EXPECT_EQ(parsed(c.name, c.text), c.value) << c.name << " " << c.text;
}

TEST(SettingsTable, SaysWhatIsAllowed) {
  const auto message = [](std::string_view name, std::string_view text) {
    return parse_setting(*find_setting(name), text).error().message();
  };
  EXPECT_EQ(message("connect_timeout", "5"),
            "set connect_timeout: it takes a duration from 1ms to 10m, such as 5s or 250ms, not \"5\"");
  EXPECT_EQ(message("idle_timeout", "x"),
            "set idle_timeout: it takes a duration from 1ms to 365d, such as 5s or 250ms, or off, not \"x\"");
  EXPECT_EQ(message("retry_budget", "200%"), "set retry_budget: it takes a part from 0% to 100%, not \"200%\"");
  EXPECT_EQ(message("max_endpoint_connections", "0x"),
            "set max_endpoint_connections: it takes a number from 1 to 1000000, or off, not \"0x\"");
  EXPECT_EQ(message("ejection", "maybe"), "set ejection: it takes on or off, not \"maybe\"");
  EXPECT_EQ(message("path", "kernle"), "set path: it takes auto, kernel or proxy, not \"kernle\"");
  EXPECT_LT(message("retries", std::string(100'000, '9')).size(), 200u);
}

TEST(SettingsTable, NamesTheNearestSetting) {
  EXPECT_EQ(unknown_setting("max_conections"), "unknown setting \"max_conections\"; did you mean max_connections?");
  EXPECT_NE(unknown_setting("colour").find("the settings are: path, "), std::string::npos);
  EXPECT_EQ(find_setting("colour"), nullptr);
  EXPECT_EQ(find_setting(std::uint64_t{0}), nullptr);
  EXPECT_EQ(find_setting(std::uint64_t{1'000'000}), nullptr);
}

TEST(SettingsTable, EveryRowIsSound) {
  std::set<std::string_view> names;
  std::set<SettingKey> keys;
  const ServiceSettings defaults;
  for (const Setting& row : settings_table()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(keys.insert(row.key).second) << row.name;
    EXPECT_EQ(&setting(row.key), &row);
    EXPECT_TRUE(fits(row, row.get(defaults))) << row.name << ": its default is none of its values";
    // What is shown is read again, and reaches the field of its own and no other.
    for (const std::uint64_t value : {row.min, row.max, row.get(defaults)}) {
      const auto read = parse_setting(row, show_setting(row, value));
      ASSERT_TRUE(read) << row.name;
      EXPECT_EQ(*read, value) << row.name;
      ServiceSettings changed;
      row.set(changed, value);
      EXPECT_EQ(row.get(changed), value) << row.name;
      row.set(changed, row.get(defaults));
      EXPECT_EQ(changed, defaults) << row.name;
    }
  }
}

TEST(SettingsTable, WhatAnErrorShowsOfATextIsCutBetweenCharacters) {
  const Setting& any = settings_table().front();
  for (std::size_t length = 50; length < 70; ++length) {
    std::string text(length, 'x');
    for (int i = 0; i < 10; ++i) text += "\u00e9";
    const auto refused = parse_setting(any, text);
    ASSERT_FALSE(refused);
    for (const std::string& message : {refused.error().message(), unknown_setting(text)}) {
      EXPECT_EQ(message.find("\xc3\xe2"), std::string::npos) << "half a character before the ellipsis";
      EXPECT_NE(message.find("…"), std::string::npos);
    }
  }
}

TEST(SettingsTable, ThePageIsWhatTheTableMakes) {
  std::ifstream file(CAUSEWAY_SOURCE_DIR "/docs/settings.md");
  std::stringstream page;
  page << file.rdbuf();
  const auto made = settings_page();
  if (page.str() != made) std::ofstream("settings.md.expected") << made;
  EXPECT_TRUE(page.str() == made) << "docs/settings.md is out of date; the text expected is in ./settings.md.expected";
}

}  // namespace
}  // namespace causeway
