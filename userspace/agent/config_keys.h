#pragma once
// The table of configuration keys: names, types, ranges, defaults and texts stand here and nowhere else.
#define TOML_HEADER_ONLY 0
#define TOML_SHARED_LIB 1
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include "agent/config.h"

namespace causeway::agent {

struct ConfigKey {
  std::string_view table;
  std::string_view name;
  std::string expects;    ///< for messages and the page: "an integer from 1 to 65535"
  std::string_view text;  ///< what it does, for the page
  /// Writes the value; or says what is wrong with it, to stand behind "TABLE.NAME ".
  std::function<std::optional<std::string>(const toml::node&, Config&)> set;
  /// The value in TOML.
  std::function<std::string(Config&)> show;

  std::string full_name() const { return std::string(table) + "." + std::string(name); }
};

struct ConfigTable {
  std::string_view name;
  std::string_view text;
};

const std::vector<ConfigTable>& config_tables();
const std::vector<ConfigKey>& config_keys();

/// How a person would write the value: `the string "x"`, `the integer 5`.
std::string describe(const toml::node& value);

}  // namespace causeway::agent
