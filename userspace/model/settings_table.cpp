#include "model/settings_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include <fmt/core.h>

#include "base/nearest.h"
#include "base/shown.h"

namespace causeway {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kSecond = 1000;
constexpr std::uint64_t kMinute = 60 * kSecond;
constexpr std::uint64_t kHour = 60 * kMinute;
constexpr std::uint64_t kDay = 24 * kHour;
constexpr std::uint64_t kYear = 365 * kDay;
constexpr std::uint64_t kMillion = 1'000'000;

template <auto Member>
std::uint64_t get(const ServiceSettings& settings) {
  using Value = std::remove_cvref_t<decltype(settings.*Member)>;
  if constexpr (std::is_same_v<Value, milliseconds>) {
    return static_cast<std::uint64_t>((settings.*Member).count());
  } else {
    return static_cast<std::uint64_t>(settings.*Member);
  }
}

template <auto Member>
void set(ServiceSettings& settings, std::uint64_t value) {
  using Value = std::remove_cvref_t<decltype(settings.*Member)>;
  settings.*Member = static_cast<Value>(value);
}

/// As ServicePath numbers them.
constexpr std::array<std::string_view, 3> kPaths{"auto", "kernel", "proxy"};
/// As Balance numbers them.
constexpr std::array<std::string_view, 4> kBalances{"round_robin", "random", "least_active", "maglev"};
/// As Affinity numbers them.
constexpr std::array<std::string_view, 2> kAffinities{"client_address", "task"};
/// As Locality numbers them.
constexpr std::array<std::string_view, 2> kLocalities{"off", "prefer_host"};

#define ROW(NAME, TYPE, MIN, MAX, OFF, TEXT)                                                          \
  Setting {                                                                                           \
    SettingKey::NAME, #NAME, SettingType::TYPE, MIN, MAX, OFF, TEXT, {}, get<&ServiceSettings::NAME>, \
        set<&ServiceSettings::NAME>                                                                   \
  }
#define CHOICE(NAME, CHOICES, TEXT)                                                            \
  Setting {                                                                                    \
    SettingKey::NAME, #NAME, SettingType::choice, 0, CHOICES.size() - 1, false, TEXT, CHOICES, \
        get<&ServiceSettings::NAME>, set<&ServiceSettings::NAME>                               \
  }

constexpr std::array kTable{
    CHOICE(
        path, kPaths,
        "Which way connections to the service take. kernel: connect() itself goes to an endpoint, and nothing stands "
        "in between; endpoints are chosen by connection, and there are no retries, timeouts and metrics of "
        "requests. proxy: all that this page lists. auto: the proxy. Acts on the next connection; those that are "
        "open stay where they are."),
    CHOICE(
        balance, kBalances,
        "How the kernel path chooses an endpoint for a connection. round_robin: in turn, each of n endpoints exactly "
        "once in n connections, over all processors. random: by chance. least_active: of two drawn by chance the one "
        "with fewer connections of this host. maglev: a client's connections go to the same endpoint (affinity says "
        "who "
        "is a client), by a table of 100 entries an endpoint in which a change of one endpoint moves few clients. All "
        "of "
        "them heed weights (causeway set NAMESPACE/DISCOVERY-NAME weight.INSTANCE=9, or the instance's attribute "
        "causeway:weight: 0 to 255, 1 if there is none; 0: no connections, unless all have it). The proxy takes "
        "endpoints in turn by weight, whatever is set."),
    CHOICE(
        affinity, kAffinities,
        "Which connections maglev takes to the same endpoint. client_address: those of sockets that are bound to the "
        "same address, and of others those of a task. task: those of a task. Connections of processes outside every "
        "task are their host's."),
    CHOICE(locality, kLocalities,
           "Where the kernel path looks for an endpoint first. prefer_host: among those of this host (tasks, and "
           "instances "
           "with one of its addresses), as long as enough of them are fit (locality_min_healthy). off: among all."),
    ROW(locality_min_healthy, percent, 1, 100, false,
        "How many of this host's endpoints must be healthy and not left out for locality to prefer them; below it, "
        "connections go to all endpoints of the service. As Envoy's overprovisioning factor of 1.4 has it."),
    ROW(max_connections, count, 1, kMillion, false,
        "Open connections to all endpoints of the service, idle ones too. Beyond it an HTTP request waits until one is "
        "free, and a TCP connection is reset; on the kernel path connect() is refused at once (ECONNREFUSED), and "
        "dials "
        "count from connect() on. More than Envoy's 1024, which long-lived connections of databases and "
        "WebSockets reach without any overload; few enough that one service leaves descriptors to the others "
        "where a process may have 20,000 (a connection takes two)."),
    ROW(max_pending_requests, count, 0, kMillion, false,
        "HTTP requests that wait for a connection because max_connections or max_endpoint_connections is reached. "
        "Beyond it they are answered with 503 at once. As at Envoy."),
    ROW(max_retries, count, 0, kMillion, false,
        "Retries under way at the same time. Beyond it a failure is passed on. Envoy's 3 would fail requests whenever "
        "an endpoint with more than 3 of them in flight ends; the amount of retries is what retry_budget bounds."),
    ROW(max_endpoint_connections, count, 1, kMillion, true,
        "Open connections to one endpoint; beyond it others are chosen, on the kernel path one that is left out rather "
        "than none. Off, as at Envoy: a single endpoint may take "
        "what the service may."),
    ROW(retries, count, 0, 10, false,
        "How often a request, or the connect of a TCP connection, is tried again on another endpoint: after a failed "
        "connect; after a reset before the answer, and a 503, if it is idempotent and its body is at hand (64 KiB at "
        "most)."),
    ROW(retry_budget, percent, 0, 100, false,
        "Retries of requests that may have reached an endpoint, as a part of the requests of the last 10 s; 30 in 10 s "
        "are always allowed, unless it is 0%. Counted by each worker of the proxy."),
    ROW(connect_timeout, duration, 1, 10 * kMinute, false,
        "How long a connection to an endpoint may take until another endpoint is tried."),
    ROW(per_request_timeout, duration, 1, kYear, true,
        "From a whole request to its whole answer; then 504, or a reset where a part was sent. "
        "perRequestTimeoutSeconds of "
        "Service Connect sets it too."),
    ROW(http_idle_timeout, duration, 1, kYear, true,
        "How long an HTTP connection of a client, a WebSocket, or an endpoint that owes an answer may be silent. "
        "idleTimeoutSeconds of Service Connect sets it too."),
    ROW(idle_timeout, duration, 1, kYear, true,
        "How long any other connection may be silent. idleTimeoutSeconds of Service Connect sets it too."),
    ROW(drain_timeout, duration, 0, kHour, false,
        "How long connections to an endpoint that leaves, or becomes unhealthy, may go on, on both paths. A task that "
        "is stopped gets SIGTERM at the latest "
        "then."),
    ROW(ejection, toggle, 0, 1, false, "Whether an endpoint that keeps failing is left out for a while."),
    ROW(ejection_failures, count, 1, 100, false,
        "How many failures one after another (refused, reset, timed out, 502 to 504) leave an endpoint out. Counted by "
        "each worker of the proxy, whose decision the others follow, and by the kernel path for the host; there "
        "connects "
        "that are refused or not answered are counted, and apart from them connections that are reset before any "
        "answer."),
    ROW(ejection_window, duration, kSecond, kHour, false,
        "The time within which these failures must come; on the kernel path, from the first of them."),
    ROW(ejection_time, duration, 100, kDay, false,
        "How long an endpoint is left out the first time, until one request tries it. Doubled each further time."),
    ROW(ejection_max_time, duration, 100, kDay, false,
        "What the doubling ends at, and how long an endpoint must not be left out until it counts as the first time "
        "again."),
    ROW(ejection_percent, percent, 0, 100, false,
        "How many of a service's endpoints may be left out at a time, rounded down."),
};
#undef CHOICE
#undef ROW

struct Unit {
  std::string_view name;
  std::uint64_t milliseconds;
};
constexpr Unit kUnits[] = {{"ms", 1}, {"s", kSecond}, {"m", kMinute}, {"h", kHour}, {"d", kDay}};

std::string show_duration(std::uint64_t value) {
  const Unit* best = &kUnits[0];
  for (const Unit& unit : kUnits) {
    if (value % unit.milliseconds == 0 && value != 0) best = &unit;
  }
  return fmt::format("{}{}", value / best->milliseconds, value == 0 ? "s" : best->name);
}

/// Digits, and what stands behind them.
struct Number {
  std::uint64_t value = 0;
  std::string_view rest;
};

std::optional<Number> read_number(std::string_view text) {
  Number out;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out.value);
  if (error != std::errc()) return std::nullopt;
  out.rest = text.substr(static_cast<std::size_t>(end - text.data()));
  return out;
}

std::optional<std::uint64_t> read_value(const Setting& setting, std::string_view text) {
  if (setting.type == SettingType::toggle) {
    if (text == "on" || text == "true") return 1;
    if (text == "off" || text == "false") return 0;
    return std::nullopt;
  }
  if (setting.type == SettingType::choice) {
    const auto found = std::find(setting.choices.begin(), setting.choices.end(), text);
    if (found == setting.choices.end()) return std::nullopt;
    return static_cast<std::uint64_t>(found - setting.choices.begin());
  }
  if (setting.may_be_off && text == "off") return 0;
  const auto number = read_number(text);
  if (!number) return std::nullopt;
  switch (setting.type) {
    case SettingType::count:
      return number->rest.empty() ? std::optional(number->value) : std::nullopt;
    case SettingType::percent:
      return number->rest.empty() || number->rest == "%" ? std::optional(number->value) : std::nullopt;
    case SettingType::duration:
      break;
    case SettingType::toggle:
    case SettingType::choice:
      return std::nullopt;
  }
  if (number->value == 0 && number->rest.empty()) return 0;
  const auto unit =
      std::find_if(std::begin(kUnits), std::end(kUnits), [&](const Unit& u) { return u.name == number->rest; });
  if (unit == std::end(kUnits) || number->value > kYear / unit->milliseconds) return std::nullopt;
  return number->value * unit->milliseconds;
}

}  // namespace

std::span<const Setting> settings_table() {
  return kTable;
}

const Setting& setting(SettingKey key) {
  return *find_setting(static_cast<std::uint64_t>(key));
}

const Setting* find_setting(std::string_view name) {
  const auto found = std::find_if(kTable.begin(), kTable.end(), [&](const Setting& s) { return s.name == name; });
  return found == kTable.end() ? nullptr : &*found;
}

const Setting* find_setting(std::uint64_t number) {
  const auto found = std::find_if(kTable.begin(), kTable.end(),
                                  [&](const Setting& s) { return static_cast<std::uint64_t>(s.key) == number; });
  return found == kTable.end() ? nullptr : &*found;
}

bool fits(const Setting& setting, std::uint64_t value) {
  return (value >= setting.min && value <= setting.max) || (setting.may_be_off && value == 0);
}

Result<std::uint64_t> parse_setting(const Setting& setting, std::string_view text) {
  const auto value = read_value(setting, text);
  // A time of 0 is no time limit, as at AWS; a limit of 0 would be taken for none at all.
  const bool is_zero_limit = value == 0u && setting.type == SettingType::count && setting.min > 0 && text != "off";
  if (value && fits(setting, *value) && !is_zero_limit) return *value;
  return make_error("set", setting.name, fmt::format("it takes {}, not \"{}\"", allowed_values(setting), shown(text)));
}

std::string show_setting(const Setting& setting, std::uint64_t value) {
  if (setting.type == SettingType::toggle) return value != 0 ? "on" : "off";
  if (setting.type == SettingType::choice) return std::string(setting.choices[value]);
  if (setting.may_be_off && value == 0) return "off";
  if (setting.type == SettingType::duration) return show_duration(value);
  return fmt::format("{}{}", value, setting.type == SettingType::percent ? "%" : "");
}

std::string allowed_values(const Setting& setting) {
  if (setting.type == SettingType::toggle) return "on or off";
  if (setting.type == SettingType::choice) {
    const std::vector<std::string> but_last(setting.choices.begin(), setting.choices.end() - 1);
    return fmt::format("{} or {}", join(but_last, ", "), setting.choices.back());
  }
  const auto min = show_setting(setting, setting.min);
  const auto max = show_setting(setting, setting.max);
  const std::string_view off = setting.may_be_off ? ", or off" : "";
  switch (setting.type) {
    case SettingType::percent:
      return fmt::format("a part from {} to {}{}", min, max, off);
    case SettingType::duration:
      return fmt::format("a duration from {} to {}, such as 5s or 250ms{}", min, max, off);
    case SettingType::count:
    case SettingType::toggle:
    case SettingType::choice:
      break;
  }
  return fmt::format("a number from {} to {}{}", min, max, off);
}

std::string unknown_setting(std::string_view name) {
  std::vector<std::string> names;
  for (const Setting& setting : kTable) names.emplace_back(setting.name);
  const auto asked = fmt::format("unknown setting \"{}\"", shown(name));
  if (name.starts_with("weight"))
    return fmt::format(
        "{}; an instance's weight is its attribute causeway:weight, or `causeway set … weight.INSTANCE=N`", asked);
  if (const auto near = nearest(name, names)) return fmt::format("{}; did you mean {}?", asked, *near);
  return fmt::format("{}; the settings are: {}", asked, join(names, ", "));
}

}  // namespace causeway
