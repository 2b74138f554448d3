#pragma once
// `causeway doctor`: whether this host gives what the agent needs.
#include <string>
#include <vector>

#include "agent/config.h"

namespace causeway::cli {

enum class Finding { ok, note, missing };  ///< note: optional, or worth knowing; missing: the agent cannot work

struct Check {
  std::string subject;
  Finding finding = Finding::ok;
  std::string text;
  std::string remedy;  ///< what to do; "" where nothing is to be done
};

/// Looks, and changes nothing (features are probed by loading programs that are thrown away).
std::vector<Check> examine(const agent::Config& config, const std::string& socket_path);

/// 1 if something needed is missing, else 0.
int verdict(const std::vector<Check>& checks);
std::string doctor_text(const std::vector<Check>& checks, bool colour);
std::string doctor_json(const std::vector<Check>& checks);

}  // namespace causeway::cli
