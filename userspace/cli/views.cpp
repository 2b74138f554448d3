#include "cli/views.h"

#include <algorithm>
#include <cmath>

#include <boost/json/array.hpp>
#include <fmt/core.h>

#include "cli/table.h"

namespace causeway::cli {
namespace {

namespace json = boost::json;

const json::value* member(const json::object& object, std::string_view name) {
  return object.if_contains(name);
}

std::string text_of(const json::value* value) {
  if (value == nullptr || value->is_null()) return "-";
  if (value->is_string()) return value->get_string().empty() ? "-" : std::string(value->get_string());
  if (value->is_bool()) return value->get_bool() ? "yes" : "no";
  if (value->is_int64()) return std::to_string(value->get_int64());
  if (value->is_uint64()) return std::to_string(value->get_uint64());
  if (value->is_double()) return fmt::format("{}", value->get_double());
  if (value->is_array()) {
    std::string out;
    for (const json::value& item : value->get_array()) out += (out.empty() ? "" : ",") + text_of(&item);
    return out.empty() ? "-" : out;
  }
  return "-";
}

std::string text(const json::object& object, std::string_view name) {
  return text_of(member(object, name));
}

double number(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  if (value == nullptr || !value->is_number()) return 0;
  return value->is_int64()    ? static_cast<double>(value->get_int64())
         : value->is_uint64() ? static_cast<double>(value->get_uint64())
                              : value->get_double();
}

bool flag(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

const json::object& inner(const json::object& object, std::string_view name) {
  static const json::object none;
  const json::value* value = member(object, name);
  return value != nullptr && value->is_object() ? value->get_object() : none;
}

/// The objects of an array member.
std::vector<const json::object*> list(const json::object& object, std::string_view name) {
  std::vector<const json::object*> out;
  const json::value* value = member(object, name);
  if (value == nullptr || !value->is_array()) return out;
  for (const json::value& item : value->get_array()) {
    if (item.is_object()) out.push_back(&item.get_object());
  }
  return out;
}

std::string host_port(const json::object& object) {
  const std::string address = text(object, "address");
  const std::string port = text(object, "port");
  return address.find(':') == std::string::npos ? address + ":" + port : "[" + address + "]:" + port;
}

Cell health_cell(const std::string& health) {
  return {health, health == "healthy" ? Tone::good : health == "unhealthy" ? Tone::bad : Tone::quiet};
}

std::string short_id(const std::string& id) {
  return id.size() > 12 ? id.substr(0, 12) : id;
}

}  // namespace

std::string age(double seconds) {
  if (seconds < 0 || std::isnan(seconds)) return "-";
  if (seconds < 120) return fmt::format("{}s", static_cast<long>(seconds));
  if (seconds < 7200) return fmt::format("{}m", static_cast<long>(seconds / 60));
  if (seconds < 172800) return fmt::format("{}h", static_cast<long>(seconds / 3600));
  return fmt::format("{}d", static_cast<long>(seconds / 86400));
}

std::string status_text(const json::object& status, bool colour) {
  std::string out;
  const auto line = [&out](std::string_view name, const std::string& value) {
    out += fmt::format("{:<14}{}\n", name, printable(value));
  };
  const json::object& proxy = inner(status, "proxy");
  line("agent", fmt::format("causewayd {}, pid {}, up {}", text(status, "version"), text(status, "pid"),
                            age(number(status, "uptime_seconds"))));
  const bool proxy_runs = number(proxy, "pid") > 0;
  out += fmt::format("{:<14}{}\n", "proxy",
                     proxy_runs ? fmt::format("pid {}, {} restarts", text(proxy, "pid"), text(proxy, "restarts"))
                                : paint("not running", Tone::bad, colour));
  const json::value* effective = member(status, "interception_effective");
  const std::string intercepts = effective == nullptr || effective->is_null() ? "not verified yet"
                                 : flag(status, "interception_effective")     ? paint("effective", Tone::good, colour)
                                                                          : paint("NOT effective", Tone::bad, colour);
  out += fmt::format("{:<14}{}, programs attached to {}\n", "interception", intercepts,
                     printable(text(status, "attached_to")));
  if (text(status, "kernel_error") != "-")
    out += fmt::format("{:<14}{}\n", "", paint(printable(text(status, "kernel_error")), Tone::bad, colour));
  line("revision", text(status, "revision"));
  for (const json::object* sink : list(status, "sinks")) {
    const bool current = flag(*sink, "current");
    out += fmt::format(
        "  {:<12}{}\n", printable(text(*sink, "name")),
        current ? "up to date"
                : paint(fmt::format("at {} of {}", text(*sink, "acknowledged"), text(status, "snapshot_revision")),
                        Tone::bad, colour));
  }
  line("carries", fmt::format("{} namespaces, {} services, {} aliases, {} endpoints, {} tasks",
                              text(status, "namespaces"), text(status, "services"), text(status, "aliases"),
                              text(status, "endpoints"), text(status, "tasks")));
  return out;
}

std::string services_text(const json::object& services, bool colour) {
  Table table({{"NAMESPACE"},
               {"DISCOVERY NAME"},
               {"ALIASES"},
               {"ADDRESS"},
               {"PATH"},
               {"PROTOCOL"},
               {"HEALTHY", Align::right},
               {"REQUESTS", Align::right},
               {"5XX", Align::right},
               {"ACTIVE", Align::right}});
  for (const json::object* service : list(services, "services")) {
    const json::object& health = inner(*service, "endpoints");
    double total = 0;
    for (const auto& [name, count] : health) total += number(health, name);
    std::string aliases, addresses;
    for (const json::object* alias : list(*service, "aliases")) {
      aliases += (aliases.empty() ? "" : " ") + text(*alias, "name") + ":" + text(*alias, "port");
      const std::string vip = text(*alias, "vip4");
      if (addresses.find(vip) == std::string::npos) addresses += (addresses.empty() ? "" : " ") + vip;
    }
    const json::object& counted = inner(*service, "counters");
    const double healthy = number(health, "healthy");
    table.add({text(*service, "namespace"),
               text(*service, "discovery_name"),
               aliases.empty() ? "-" : aliases,
               addresses.empty() ? "-" : addresses,
               text(*service, "path"),
               text(*service, "protocol"),
               {fmt::format("{}/{}", static_cast<long>(healthy), static_cast<long>(total)),
                healthy > 0 ? Tone::good : Tone::bad},
               text(counted, "requests"),
               text(counted, "failed_requests"),
               text(counted, "connections_active")});
  }
  return table.empty() ? "no services; see \"aws servicediscovery create-service\" and \"aws ecs create-service\"\n"
                       : table.render(colour);
}

std::string endpoints_text(const json::object& endpoints, bool colour) {
  Table table({{"NAMESPACE"}, {"DISCOVERY NAME"}, {"INSTANCE"}, {"ADDRESS"}, {"WEIGHT", Align::right}, {"HEALTH"}});
  for (const json::object* endpoint : list(endpoints, "endpoints")) {
    table.add({text(*endpoint, "namespace"), text(*endpoint, "discovery_name"), text(*endpoint, "instance_id"),
               host_port(*endpoint), fmt::format("{:.0f}", number(*endpoint, "weight")),
               flag(*endpoint, "left_out") ? Cell{"left out", Tone::bad} : health_cell(text(*endpoint, "health"))});
  }
  return table.empty() ? "no endpoints; start a task with \"causeway run\", or register an instance\n"
                       : table.render(colour);
}

std::string tasks_text(const json::object& tasks, bool all, double now, bool colour) {
  Table table({{"TASK"},
               {"CLUSTER"},
               {"SERVICE"},
               {"STATUS"},
               {"PID", Align::right},
               {"ADDRESS"},
               {"LISTENS"},
               {"AGE", Align::right},
               {"REASON"}});
  for (const json::object* task : list(tasks, "tasks")) {
    const std::string status = text(*task, "last_status");
    const bool stopped = status == "STOPPED";
    if (stopped && !all) continue;
    std::string ports;
    const std::string listening = "," + text(*task, "listening_ports") + ",";
    const json::value* all_ports = member(*task, "ports");
    for (const json::value& port :
         all_ports != nullptr && all_ports->is_array() ? all_ports->get_array() : json::array()) {
      const std::string one = text_of(&port);
      ports +=
          (ports.empty() ? "" : " ") + one + (listening.find("," + one + ",") == std::string::npos ? " (not yet)" : "");
    }
    const double since = number(*task, "started_at") > 0 ? number(*task, "started_at") : number(*task, "created_at");
    table.add({short_id(text(*task, "id")),
               text(*task, "cluster"),
               text(*task, "service"),
               {status, status == "RUNNING" ? Tone::good
                        : stopped           ? Tone::quiet
                                            : Tone::plain},
               stopped ? "-" : text(*task, "pid"),
               text(*task, "address"),
               stopped || ports.empty() ? "-" : ports,
               age(now - since),
               text(*task, "stopped_reason")});
  }
  if (!table.empty()) return table.render(colour);
  return all ? "no tasks; start one with \"causeway run --cluster C --service S -- PROGRAM\"\n"
             : "no running tasks; start one with \"causeway run --cluster C --service S -- PROGRAM\" (stopped ones: "
               "--all)\n";
}

std::string explain_text(const json::object& explanation, bool colour) {
  std::string out = printable(text(explanation, "name"));
  if (text(explanation, "port") != "-") out += ":" + text(explanation, "port");
  out += "\n";
  for (const json::object* step : list(explanation, "steps")) {
    const bool ok = flag(*step, "ok");
    out += fmt::format("  {} {:<10}{}\n", paint(ok ? "ok" : "--", ok ? Tone::good : Tone::bad, colour),
                       printable(text(*step, "step")), printable(text(*step, "text")));
  }
  Table table({{"INSTANCE"}, {"ADDRESS"}, {"HEALTH"}, {"TAKES CONNECTIONS"}, {"WHY"}});
  for (const json::object* endpoint : list(explanation, "endpoints")) {
    const bool used = flag(*endpoint, "used");
    table.add({text(*endpoint, "instance_id"),
               host_port(*endpoint),
               health_cell(text(*endpoint, "health")),
               {used ? "yes" : "no", used ? Tone::good : Tone::bad},
               text(*endpoint, "reason")});
  }
  if (!table.empty()) out += "\n" + table.render(colour);
  return out;
}

std::string settings_text(const json::object& settings, const std::vector<std::string>& only, bool colour) {
  Table table({{"SETTING"}, {"VALUE"}, {"DEFAULT"}, {"SET BY"}});
  for (const json::object* setting : list(settings, "settings")) {
    const std::string key = text(*setting, "key");
    if (!only.empty() && std::find(only.begin(), only.end(), key) == only.end()) continue;
    const bool set = flag(*setting, "set");
    table.add({key,
               {text(*setting, "value"), set ? Tone::good : Tone::plain},
               text(*setting, "default"),
               set ? text(*setting, "source") : "-"});
  }
  return table.render(colour);
}

std::string shell_quote(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string env_text(const json::object& env) {
  std::string out;
  for (const char* name :
       {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ENDPOINT_URL"}) {
    const json::value* value = member(env, name);
    if (value == nullptr || !value->is_string()) continue;
    out += fmt::format("export {}={}\n", name, shell_quote(value->get_string()));
  }
  // Last, so that an eval without quotes, which joins the lines, loses nothing but this.
  return out +
         "# For eval \"$(causeway env)\". Clients older than AWS_ENDPOINT_URL (awscli before 2.13): aws --endpoint-url "
         "\"$AWS_ENDPOINT_URL\" ...\n";
}

}  // namespace causeway::cli
