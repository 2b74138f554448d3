#include "agent/local_api.h"

#include <optional>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/core.h>

#include "agent/explain.h"
#include "agent/local_api_views.h"
#include "agent/settings_view.h"
#include "base/nearest.h"
#include "base/shown.h"
#include "control/service_settings.h"

namespace causeway::agent {
namespace {

namespace json = boost::json;
using web::Request;
using web::Response;

Response answer(unsigned status, const json::object& body) {
  Response response;
  response.status = status;
  response.content_type = "application/json";
  response.body = json::serialize(body) + "\n";
  return response;
}

Response refuse(unsigned status, std::string_view message) {
  return answer(status, {{"error", message}});
}

constexpr std::size_t kMaxScope = 1024 + 1 + 127;  // NAMESPACE/DISCOVERY-NAME: Cloud Map's longest names

/// A string member of 1 to `most` bytes, or nothing.
std::optional<std::string> text_member(const json::object& object, std::string_view name, std::size_t most = 255) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  const json::string& text = value->get_string();
  if (text.empty() || text.size() > most) return std::nullopt;
  return std::string(text);
}

std::optional<json::object> parse_object(const std::string& body) {
  json::parse_options options;
  options.max_depth = 8;
  boost::system::error_code error;
  const json::value value = json::parse(body, error, {}, options);
  if (error || !value.is_object()) return std::nullopt;
  return value.get_object();
}

struct SettingsChange {
  std::string service;
  std::map<std::string, std::string> set;
  std::vector<std::string> remove;
};

std::optional<SettingsChange> parse_settings_change(const std::string& text) {
  const auto body = parse_object(text);
  const auto service = body ? text_member(*body, "service", kMaxScope) : std::nullopt;
  if (!service) return std::nullopt;
  SettingsChange change{*service, {}, {}};
  if (const json::value* set = body->if_contains("set")) {
    if (!set->is_object()) return std::nullopt;
    for (const auto& [key, value] : set->get_object()) {
      if (!value.is_string()) return std::nullopt;
      change.set[std::string(key)] = std::string(value.get_string());
    }
  }
  if (const json::value* remove = body->if_contains("remove")) {
    if (!remove->is_array()) return std::nullopt;
    for (const json::value& key : remove->get_array()) {
      if (!key.is_string()) return std::nullopt;
      change.remove.emplace_back(key.get_string());
    }
  }
  return change;
}

class LocalApi {
 public:
  explicit LocalApi(LocalApiSources sources) : s_(std::move(sources)) {}

  void handle(const Request& request, const web::Reply& reply) {
    // The socket's mode says so already; a copy of the descriptor may have travelled.
    if (request.peer_uid != 0) return reply(refuse(403, "only root may ask the agent; try sudo"));
    if (request.path() == "/v1/tasks" && request.method == "POST") return start_task(request, reply);
    reply(answer_now(request));
  }

 private:
  Response answer_now(const Request& request) {
    const std::string_view path = request.path();
    if (path.starts_with("/v1/tasks/") && path.ends_with("/stop")) {
      return request.method == "POST" ? stop_task(request) : refuse(405, "POST only");
    }
    if (path == "/v1/settings" && request.method == "POST") return change_settings(request);
    return request.method == "GET"
               ? read(request, path)
               : refuse(405, "GET only, but for POST /v1/tasks, /v1/tasks/ID/stop and /v1/settings");
  }

  Response read(const Request& request, std::string_view path) {
    const control::State& state = s_.controller.state();
    const SnapshotPtr snapshot = s_.controller.snapshot();
    if (path == "/v1/status") return answer(200, status_view(state, *snapshot, s_.status(), s_.supervisor.followed()));
    if (path == "/v1/services") return answer(200, services_view(*snapshot, s_.status()));
    if (path == "/v1/endpoints") return answer(200, endpoints_view(*snapshot, s_.kernel));
    if (path == "/v1/tasks") return answer(200, tasks_view(state));
    if (path == "/v1/env") return answer(200, env_view(s_.config, s_.credentials));
    if (path == "/v1/explain") return explain_dial(request, *snapshot);
    if (path == "/v1/settings") return show_settings(request.query("service"));
    return refuse(404, fmt::format("there is no {}; see docs/local-api.md", shown(path, 128)));
  }

  Response show_settings(const std::string& scope) const {
    const control::State& state = s_.controller.state();
    const auto* service = control::find_scoped_service(state, scope);
    if (service == nullptr)
      return refuse(404, fmt::format("{}: {}", shown(scope, 200), control::no_such_service(state, scope)));
    return answer(200, settings_view(state, s_.controller.settings(), *service));
  }

  Response change_settings(const Request& request) {
    const auto change = parse_settings_change(request.body);
    if (!change) {
      return refuse(400, R"(the body must be {"service": "NAMESPACE/DISCOVERY-NAME", "set": {"KEY": "VALUE"}, )"
                         R"("remove": ["KEY"]})");
    }
    const auto done = s_.controller.change([&](control::Call& call) {
      return control::change_settings(call, change->service, change->set, change->remove);
    });
    return done ? show_settings(change->service) : refuse(409, done.error().message());
  }

  Response explain_dial(const Request& request, const Snapshot& snapshot) {
    const std::string port = request.query("port");
    std::string target = request.query("name");
    if (!port.empty()) target = (target.find(':') == std::string::npos ? target : "[" + target + "]") + ":" + port;
    auto question = parse_target(target);
    if (!question) return refuse(400, question.error().message());
    question->from = request.query("from");
    const auto explained = explain(s_.controller.state(), snapshot, *question, s_.controller.settings(), s_.kernel);
    return explained ? answer(200, *explained) : refuse(404, explained.error().message());
  }

  void start_task(const Request& request, const web::Reply& reply) {
    const auto body = parse_object(request.body);
    const auto cluster = body ? text_member(*body, "cluster") : std::nullopt;
    const auto service = body ? text_member(*body, "service") : std::nullopt;
    if (!cluster || !service) return reply(refuse(400, R"(the body must be {"cluster": "NAME", "service": "NAME"})"));
    if (request.peer_pid <= 0) return reply(refuse(400, "the process that asks is unknown: ask over the agent's Unix socket"));
    const auto started = s_.supervisor.start_task({*cluster, *service}, request.peer_pid);
    if (!started) return reply(refuse(409, started.error().message() + suggestion(*cluster, *service)));
    json::object out = task_view(*started);
    out["cgroup"] = started->cgroup;
    if (!s_.when_kernel_acts) return reply(answer(201, out));
    // The program execs when it has this answer. Were the kernel part to learn of the task later, a quick server's bind()
    // would not be moved to the task's address.
    s_.when_kernel_acts([this, reply, out = std::move(out), task = *started](bool acts) {
      if (acts) return reply(answer(201, out));
      (void)s_.supervisor.stop_task(task.cluster, task.id, "The kernel part did not take the task");
      reply(refuse(503, "the kernel part did not take the task in time; `causeway status` and `causeway doctor` tell why"));
    });
  }

  /// What was meant, where the cluster or service does not exist.
  std::string suggestion(const std::string& cluster, const std::string& service) const {
    const auto& all = s_.controller.state().ecs_services;
    const auto in_cluster = all.find(cluster);
    if (in_cluster != all.end() && in_cluster->second.contains(service)) return "";
    std::vector<std::string> names;
    for (const auto& [c, services] : all) {
      for (const auto& [n, record] : services) {
        if (record.status == "ACTIVE") names.push_back(c + "/" + n);
      }
    }
    const auto near = nearest_few(cluster + "/" + service, names, 3);
    return near.empty() ? "" : fmt::format("; did you mean {}?", join(near, " or "));
  }

  Response stop_task(const Request& request) {
    constexpr std::string_view kBefore = "/v1/tasks/", kAfter = "/stop";
    const std::string_view path = request.path();
    if (path.size() <= kBefore.size() + kAfter.size()) return refuse(404, "the task's id is missing");
    const std::string id(path.substr(kBefore.size(), path.size() - kBefore.size() - kAfter.size()));
    for (const auto& [cluster, by_id] : s_.controller.state().tasks) {
      if (!by_id.contains(id)) continue;
      const auto stopped = s_.supervisor.stop_task(std::string(cluster), id, "Task stopped by user");
      if (!stopped) return refuse(409, stopped.error().message());
      return answer(202, task_view(s_.controller.state().tasks.at(cluster).at(id)));
    }
    return refuse(404, fmt::format("there is no task {}; causeway tasks lists them", id.substr(0, 64)));
  }

  LocalApiSources s_;
};

}  // namespace

web::Handler make_local_api(LocalApiSources sources) {
  auto api = std::make_shared<LocalApi>(std::move(sources));
  return [api](const Request& request, const web::Reply& reply) { api->handle(request, reply); };
}

}  // namespace causeway::agent
