#pragma once
// The agent's documents (docs/local-api.md) as text for people. Members that an older or newer agent lacks show as "-".
#include <string>
#include <vector>

#include <boost/json/object.hpp>

namespace causeway::cli {

std::string status_text(const boost::json::object& status, bool colour);
std::string services_text(const boost::json::object& services, bool colour);
std::string endpoints_text(const boost::json::object& endpoints, bool colour);
/// Without `all`, tasks that have STOPPED are left out. `now`: seconds since the epoch.
std::string tasks_text(const boost::json::object& tasks, bool all, double now, bool colour);
/// GET /v1/settings; with `only`, those keys alone.
std::string settings_text(const boost::json::object& settings, const std::vector<std::string>& only, bool colour);
std::string explain_text(const boost::json::object& explanation, bool colour);
/// Shell commands for `eval "$(causeway env)"`.
std::string env_text(const boost::json::object& env);

/// As one word for a POSIX shell.
std::string shell_quote(std::string_view text);
/// "3s", "5m", "2h", "4d".
std::string age(double seconds);

}  // namespace causeway::cli
