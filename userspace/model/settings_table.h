#pragma once
// Every setting of a service, once: its name, type, range, default and text. The checks of the API, the configuration
// and the command line, the feed to the proxy and docs/settings.md are made from it.
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/settings.h"

namespace causeway {

/// The number stands in the feed: it is never given to another setting.
enum class SettingKey : std::uint8_t {
  max_connections = 1,
  max_pending_requests = 2,
  max_retries = 3,
  max_endpoint_connections = 4,
  retries = 5,
  retry_budget = 6,
  connect_timeout = 7,
  per_request_timeout = 8,
  http_idle_timeout = 9,
  idle_timeout = 10,
  drain_timeout = 11,
  ejection = 12,
  ejection_failures = 13,
  ejection_window = 14,
  ejection_time = 15,
  ejection_max_time = 16,
  ejection_percent = 17,
  path = 18,
  balance = 19,
  affinity = 20,
  locality = 21,
  locality_min_healthy = 22,
};

enum class SettingType : std::uint8_t {
  count,
  percent,
  duration,  ///< in milliseconds
  toggle,    ///< 0 is off, 1 is on
  choice,    ///< the number of one of several words
};

struct Setting {
  SettingKey key;
  std::string_view name;
  SettingType type;
  std::uint64_t min, max;  ///< of the value as a number: milliseconds, percent, count
  bool may_be_off;         ///< beside the range, 0 is allowed and means off
  std::string_view text;   ///< a sentence or two for docs/settings.md
  std::span<const std::string_view> choices;
  std::uint64_t (*get)(const ServiceSettings&);
  void (*set)(ServiceSettings&, std::uint64_t);
};

/// The prefix of a Cloud Map service attribute that is a setting.
inline constexpr std::string_view kSettingAttribute = "causeway:";

/// In the order of docs/settings.md.
std::span<const Setting> settings_table();
const Setting& setting(SettingKey key);
/// Nullptr: there is none of that name (unknown_setting() says so to a person), or number.
const Setting* find_setting(std::string_view name);
const Setting* find_setting(std::uint64_t number);

/// Values of some settings, checked.
using SettingValues = std::map<SettingKey, std::uint64_t>;

/// "250ms", "5s", "2m", "1h", "1d", "20%", "20", "on", "off", "kernel". The Error's cause says what is allowed.
Result<std::uint64_t> parse_setting(const Setting& setting, std::string_view text);
/// Whether the value is one that parse_setting() could answer.
bool fits(const Setting& setting, std::uint64_t value);
/// As parse_setting() takes it, in the largest unit that holds it exactly.
std::string show_setting(const Setting& setting, std::uint64_t value);
/// What a value may be: "a duration from 1ms to 10m, such as 5s or 250ms", "auto, kernel or proxy".
std::string allowed_values(const Setting& setting);
/// `unknown setting "max_conections"; did you mean max_connections?`
std::string unknown_setting(std::string_view name);

/// docs/settings.md.
std::string settings_page();

}  // namespace causeway
