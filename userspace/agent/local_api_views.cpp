#include "agent/local_api_views.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include <boost/json/array.hpp>
#include <unistd.h>

#include "model/names.h"

#ifndef CAUSEWAY_VERSION
#define CAUSEWAY_VERSION "unknown"
#endif

namespace causeway::agent {
namespace {

namespace json = boost::json;

json::array ports_of(const std::vector<std::uint16_t>& ports) {
  json::array out;
  for (const std::uint16_t port : ports) out.emplace_back(port);
  return out;
}

json::object health_counts(const Service& service) {
  std::map<std::string, std::size_t> counts{{"healthy", 0}, {"unhealthy", 0}, {"starting", 0}, {"draining", 0}};
  for (const Endpoint& endpoint : service.endpoints) ++counts[std::string(to_string(endpoint.health))];
  json::object out;
  for (const auto& [health, count] : counts) out[health] = count;
  return out;
}

std::string_view path_of(const Service& service, bool has_alias) {
  if (!has_alias) return "direct";
  return takes_kernel_path(service.settings) ? "kernel" : "proxy";
}

/// By the kernel path; the proxy's workers keep theirs to themselves.
bool is_left_out(const Service& service, EndpointId endpoint, const KernelView& kernel) {
  return takes_kernel_path(service.settings) && kernel.is_ejected && kernel.is_ejected(endpoint);
}

json::object counters_view(const ServiceCounters& c) {
  return {{"requests", c.requests},
          {"failed_requests", c.failed_requests},
          {"connections_opened", c.connections_opened},
          {"connections_active", c.connections_active},
          {"connections_failed", c.connections_failed},
          {"retries", c.retries}};
}

}  // namespace

json::object status_view(const control::State& state, const Snapshot& snapshot, const RuntimeStatus& runtime,
                         std::size_t tasks_here) {
  json::array sinks;
  for (const SinkStatus& sink : runtime.sinks) {
    sinks.push_back(json::object{{"name", sink.name},
                                 {"acknowledged", sink.acknowledged.value},
                                 {"current", sink.acknowledged >= snapshot.revision}});
  }
  std::size_t endpoints = 0;
  for (const auto& [id, service] : snapshot.services) endpoints += service->endpoints.size();
  json::object out{{"version", CAUSEWAY_VERSION},
                   {"pid", ::getpid()},
                   {"uptime_seconds", runtime.uptime.count()},
                   {"revision", state.revision().value},
                   {"snapshot_revision", snapshot.revision.value},
                   {"sinks", std::move(sinks)},
                   {"proxy", json::object{{"pid", runtime.proxy_pid}, {"restarts", runtime.proxy_restarts}}},
                   {"attached_to", runtime.attached_to},
                   {"kernel_error", runtime.kernel_error},
                   {"namespaces", state.namespaces.size()},
                   {"services", snapshot.services.size()},
                   {"aliases", snapshot.aliases.size()},
                   {"endpoints", endpoints},
                   {"tasks", tasks_here}};
  out["interception_effective"] =
      runtime.interception_effective ? json::value(*runtime.interception_effective) : json::value(nullptr);
  return out;
}

json::object services_view(const Snapshot& snapshot, const RuntimeStatus& runtime) {
  json::array list;
  std::unordered_map<ServiceId, json::array> aliases_of;
  for (const Alias& alias : snapshot.aliases) {
    aliases_of[alias.service].push_back(json::object{{"name", alias.name},
                                                     {"port", alias.port},
                                                     {"vip4", alias.vip4.to_string()},
                                                     {"vip6", alias.vip6.to_string()}});
  }
  std::unordered_map<ServiceId, const ServiceCounters*> counters_of;
  for (const ServiceCounters& counters : runtime.services) counters_of.emplace(counters.service, &counters);
  for (const auto& [id, service] : snapshot.services) {
    json::array aliases = std::move(aliases_of[id]);
    json::object one{{"namespace", service->namespace_name},
                     {"discovery_name", service->discovery_name},
                     {"service_id", id.value},
                     {"protocol", to_string(service->protocol)},
                     {"path", path_of(*service, !aliases.empty())},
                     {"aliases", std::move(aliases)},
                     {"endpoints", health_counts(*service)}};
    const auto counted = counters_of.find(id);
    one["counters"] = counters_view(counted == counters_of.end() ? ServiceCounters{} : *counted->second);
    list.push_back(std::move(one));
  }
  return {{"services", std::move(list)}};
}

json::object endpoints_view(const Snapshot& snapshot, const KernelView& kernel) {
  json::array list;
  for (const auto& [id, service] : snapshot.services) {
    for (const Endpoint& endpoint : service->endpoints) {
      list.push_back(json::object{{"namespace", service->namespace_name},
                                  {"discovery_name", service->discovery_name},
                                  {"endpoint_id", endpoint.id.value},
                                  {"instance_id", endpoint.instance_id},
                                  {"address", endpoint.address.ip.to_string()},
                                  {"port", endpoint.address.port},
                                  {"weight", endpoint.weight},
                                  {"health", to_string(endpoint.health)},
                                  {"left_out", is_left_out(*service, endpoint.id, kernel)}});
    }
  }
  return {{"endpoints", std::move(list)}};
}

json::object task_view(const control::TaskRecord& task) {
  json::object out{{"id", task.id},
                   {"arn", task.arn},
                   {"cluster", task.cluster},
                   {"service", task.service},
                   {"task_definition", task.task_definition},
                   {"last_status", task.last_status},
                   {"desired_status", task.desired_status},
                   {"stop_code", task.stop_code},
                   {"stopped_reason", task.stopped_reason},
                   {"pid", task.pid},
                   {"address", task.address.to_string()},
                   {"ports", ports_of(task.ports)},
                   {"listening_ports", ports_of(task.listening_ports)},
                   {"created_at", task.created},
                   {"started_at", task.started},
                   {"stopped_at", task.stopped}};
  return out;
}

json::object tasks_view(const control::State& state) {
  json::array list;
  for (const auto& [cluster, by_id] : state.tasks) {
    for (const auto& [id, task] : by_id) list.push_back(task_view(task));
  }
  return {{"tasks", std::move(list)}};
}

json::object env_view(const Config& config, const control::Credentials& credentials) {
  return {{"AWS_ACCESS_KEY_ID", credentials.access_key_id},
          {"AWS_SECRET_ACCESS_KEY", credentials.secret_access_key},
          {"AWS_DEFAULT_REGION", config.aws.region},
          {"AWS_REGION", config.aws.region},
          {"AWS_ENDPOINT_URL", config.api_url()}};
}

}  // namespace causeway::agent
