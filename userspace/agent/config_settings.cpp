#include "agent/config_settings.h"

#include <algorithm>

#include <fmt/core.h>

namespace causeway::agent {
namespace {

constexpr std::size_t kMaxScope = 1024 + 1 + 127;  // Cloud Map's longest names

std::optional<std::string> text_of(const toml::node& value) {
  if (const auto* text = value.as_string()) return text->get();
  if (const auto* number = value.as_integer()) return fmt::format("{}", number->get());
  if (const auto* flag = value.as_boolean()) return flag->get() ? "true" : "false";
  return std::nullopt;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

/// NAMESPACE/DISCOVERY-NAME; whether there is such a service is not known here.
bool is_scope(std::string_view name) {
  const auto slash = name.rfind('/');
  return slash != std::string_view::npos && slash > 0 && slash + 1 < name.size() && name.size() <= kMaxScope;
}

std::string in_toml(const Setting& setting, std::uint64_t value) {
  const auto text = show_setting(setting, value);
  if (setting.type == SettingType::toggle) return value != 0 ? "true" : "false";
  return setting.type == SettingType::count && text != "off" ? text : "\"" + text + "\"";
}

}  // namespace

void read_settings(const std::string& table, const toml::table& from, SettingValues& out, const TellProblem& problem) {
  for (const auto& [name, value] : from) {
    const unsigned line = name.source().begin.line;
    const Setting* known = find_setting(name.str());
    if (known == nullptr) {
      problem(line, fmt::format("{}: {}", table, unknown_setting(name.str())));
      continue;
    }
    const auto text = text_of(value);
    const auto parsed = text ? parse_setting(*known, *text) : Result<std::uint64_t>(Error{});
    if (parsed) {
      out[known->key] = *parsed;
    } else {
      problem(line,
              fmt::format("{}.{} must be {}, not {}", table, name.str(), allowed_values(*known), describe(value)));
    }
  }
}

void read_service_tables(const toml::table& from, std::map<std::string, SettingValues>& out,
                         const TellProblem& problem) {
  for (const auto& [name, value] : from) {
    const unsigned line = name.source().begin.line;
    const std::string table = fmt::format("service.\"{}\"", name.str().substr(0, 200));
    const auto* keys = value.as_table();
    if (!is_scope(name.str()) || keys == nullptr) {
      problem(line, fmt::format("{}: a service's table is written as [service.\"NAMESPACE/DISCOVERY-NAME\"]", table));
      continue;
    }
    read_settings(table, *keys, out[lower(name.str())], problem);
  }
}

std::string settings_section() {
  return "\n## [defaults] and [service.\"NAMESPACE/DISCOVERY-NAME\"]\n\n"
         "Settings of services, for all of them and for one. [settings.md](settings.md) lists the keys, and says what "
         "else may set them\nand which of several counts.\n\n"
         "```toml\n[defaults]\nconnect_timeout = \"2s\"\n\n[service.\"myapp.local/user-service\"]\nmax_connections = "
         "100\nretry_budget = \"10%\"\nejection = false\n```\n";
}

std::string default_settings_toml() {
  std::string out = "\n[defaults]\n";
  const ServiceSettings defaults;
  for (const Setting& setting : settings_table()) {
    out += fmt::format("{} = {}\n", setting.name, in_toml(setting, setting.get(defaults)));
  }
  return out;
}

}  // namespace causeway::agent
