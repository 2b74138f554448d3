#pragma once
// [defaults] and [service."NAMESPACE/DISCOVERY-NAME"]: settings of services in the configuration.
#include <functional>
#include <string>

#include "agent/config_keys.h"

namespace causeway::agent {

using TellProblem = std::function<void(unsigned line, std::string text)>;

/// The keys of one of these tables; `table` as the problems name it.
void read_settings(const std::string& table, const toml::table& from, SettingValues& out, const TellProblem& problem);
/// The whole of [service].
void read_service_tables(const toml::table& from, std::map<std::string, SettingValues>& out,
                         const TellProblem& problem);
/// Of docs/configuration.md: both tables' section, and the keys of [defaults] with their defaults.
std::string settings_section();
std::string default_settings_toml();

}  // namespace causeway::agent
