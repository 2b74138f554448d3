#include "agent/explain.h"

#include <algorithm>

#include <boost/json/array.hpp>
#include <fmt/core.h>

#include "agent/explain_words.h"
#include "agent/settings_view.h"
#include "base/nearest.h"
#include "control/service_settings.h"
#include "model/names.h"

namespace causeway::agent {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxAnswers = 8;  // Cloud Map: a MULTIVALUE answer carries up to eight

struct Client {
  NamespaceNumber sees = kEveryNamespace;
  std::string who = "a process of this host outside all tasks";
};

std::string namespace_name(const Snapshot& snapshot, NamespaceNumber number) {
  const auto found = snapshot.namespaces.find(number);
  return found == snapshot.namespaces.end() ? "?" : found->second.name;
}

std::string normal(std::string_view name) {
  std::string out(name);
  while (out.ends_with('.')) out.pop_back();
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

Result<Client> client_of(const control::State& state, const Snapshot& snapshot, const std::string& from) {
  Client client;
  if (from.empty()) return client;
  const std::size_t slash = from.find('/');
  const std::string cluster = slash == std::string::npos ? "default" : from.substr(0, slash);
  const std::string name = slash == std::string::npos ? from : from.substr(slash + 1);
  std::vector<std::string> all;
  for (const auto& [c, services] : state.ecs_services) {
    for (const auto& [n, service] : services) {
      if (service.status != "INACTIVE") all.push_back(c + "/" + n);
    }
  }
  const auto in_cluster = state.ecs_services.find(cluster);
  if (in_cluster == state.ecs_services.end() || !in_cluster->second.contains(name)) {
    const auto near = nearest_few(from, all, 3);
    return make_error("explain a dial from", from,
                      near.empty() ? "there is no such ECS service; --from takes CLUSTER/SERVICE"
                                   : fmt::format("there is no such ECS service; did you mean {}?", join(near, " or ")));
  }
  const auto& service = in_cluster->second.at(name);
  client.who = fmt::format("a task of ECS service {}/{}", cluster, name);
  client.sees = kNoNamespace;
  const auto own = state.namespaces.find(service.service_connect_namespace);
  if (own != state.namespaces.end()) client.sees = own->second.number;
  if (client.sees == kNoNamespace) {
    client.who += ", which is in no Service Connect namespace and sees no alias";
  } else {
    client.who += fmt::format(", which sees the aliases of namespace {}", namespace_name(snapshot, client.sees));
  }
  return client;
}

/// One explanation while it is written.
class Explanation {
 public:
  Explanation(const control::State& state, const Snapshot& snapshot, const ExplainQuestion& question, Client client,
              const control::Settings& host, const KernelView& kernel)
      : state_(state),
        snapshot_(snapshot),
        question_(question),
        name_(normal(question.name)),
        client_(std::move(client)),
        host_(host),
        kernel_(kernel) {}

  json::object run() {
    out_["name"] = name_;
    out_["port"] = question_.port ? json::value(*question_.port) : json::value(nullptr);
    out_["from"] = question_.from.empty() ? json::value(nullptr) : json::value(question_.from);
    step("client", true, client_.who);
    if (const auto ip = IpAddress::parse(name_)) {
      address(*ip);
    } else {
      dns();
    }
    out_["steps"] = std::move(steps_);
    return std::move(out_);
  }

 private:
  bool sees(NamespaceNumber number) const { return client_.sees == kEveryNamespace || client_.sees == number; }

  void step(std::string_view title, bool ok, std::string text) {
    steps_.push_back(json::object{{"step", title}, {"ok", ok}, {"text", std::move(text)}});
  }
  void verdict(std::string_view kind) { out_["verdict"] = kind; }

  void address(const IpAddress& ip);
  void dns();
  void alias_name(const AliasName& name);
  void ambiguous(const std::vector<const AliasName*>& visible);
  void cloud_map(const CloudMapName& name);
  void not_found(const std::vector<const AliasName*>& hidden);
  void alias(const IpAddress& vip, const std::string& as);
  void service(const Alias& alias);
  void path(const Service& service);
  std::string path_reason(const Service& service) const;
  void settings(const Service& service);
  const control::ServiceRecord* record_of(const Service& service) const;
  void limits(const Service& service);
  void endpoints(const Service& service);
  std::vector<std::string> known_names() const;

  const control::State& state_;
  const Snapshot& snapshot_;
  const ExplainQuestion& question_;
  std::string name_;
  Client client_;
  const control::Settings& host_;
  const KernelView& kernel_;
  json::object out_;
  json::array steps_;
};

void Explanation::address(const IpAddress& ip) {
  out_["dns"] = json::object{{"kind", "address"}, {"addresses", json::array{ip.to_string()}}};
  step("dns", true, "an address: nothing is asked");
  for (const Alias& candidate : snapshot_.aliases) {
    if (candidate.vip4 == ip || candidate.vip6 == ip) return alias(ip, ip.to_string());
  }
  for (const auto& [id, workload] : snapshot_.workloads) {
    if (workload.address != ip) continue;
    verdict("direct");
    return step("alias", true,
                fmt::format("{} is the address of task {} of service {}: it is dialled directly, without "
                            "balancing or retries",
                            ip.to_string(), id, workload.client_name));
  }
  verdict("not_ours");
  step("alias", false,
       fmt::format("{} belongs to no alias and no task: the connection is left alone (or refused, where the "
                   "address lies in the alias range)",
                   ip.to_string()));
}

void Explanation::dns() {
  std::vector<const AliasName*> visible, hidden;
  for (const AliasName& candidate : snapshot_.alias_names) {
    if (candidate.name == name_) (sees(candidate.namespace_number) ? visible : hidden).push_back(&candidate);
  }
  if (visible.size() > 1) return ambiguous(visible);
  if (visible.size() == 1) return alias_name(*visible.front());
  const auto record = snapshot_.cloud_map_names.find(name_);
  if (record != snapshot_.cloud_map_names.end()) return cloud_map(*record->second);
  not_found(hidden);
}

void Explanation::alias_name(const AliasName& name) {
  out_["dns"] = json::object{{"kind", "alias"},
                             {"namespace", namespace_name(snapshot_, name.namespace_number)},
                             {"addresses", json::array{name.vip4.to_string(), name.vip6.to_string()}}};
  step("dns", true,
       fmt::format("{} is an alias of namespace {}: A {}, AAAA {} (stable while the alias lives)", name_,
                   namespace_name(snapshot_, name.namespace_number), name.vip4.to_string(), name.vip6.to_string()));
  alias(name.vip4, name_);
}

void Explanation::ambiguous(const std::vector<const AliasName*>& visible) {
  std::vector<std::string> names, addresses;
  for (const AliasName* each : visible) {
    names.push_back(namespace_name(snapshot_, each->namespace_number));
    addresses.push_back(fmt::format("{} ({})", each->vip4.to_string(), names.back()));
  }
  out_["dns"] = json::object{{"kind", "ambiguous"}, {"addresses", json::array()}};
  verdict("ambiguous");
  step("dns", false,
       fmt::format("{} is an alias in several namespaces ({}), and a process outside all tasks sees them all: "
                   "SERVFAIL. Dial from a task of one of them (--from CLUSTER/SERVICE), or an address: {}",
                   name_, join(names, ", "), join(addresses, ", ")));
}

void Explanation::cloud_map(const CloudMapName& name) {
  const bool any_healthy =
      std::any_of(name.instances.begin(), name.instances.end(), [](const auto& i) { return i.healthy; });
  json::array addresses, instances;
  std::uint32_t ttl = 0;
  std::vector<std::string> types;
  for (const CloudMapRecord& record : name.records) {
    constexpr std::string_view kTypes[] = {"A", "AAAA", "SRV", "CNAME"};
    types.emplace_back(kTypes[static_cast<std::size_t>(record.type)]);
    ttl = record.ttl_seconds;
  }
  std::size_t answered = 0;
  for (const CloudMapInstance& each : name.instances) {
    const bool answers = each.healthy || !any_healthy;
    const std::string where = !each.cname.empty()        ? each.cname
                              : each.ipv4 != IpAddress() ? each.ipv4.to_string()
                                                         : each.ipv6.to_string();
    if (answers && ++answered <= kMaxAnswers) addresses.emplace_back(where);
    instances.push_back(json::object{{"instance_id", each.instance_id},
                                     {"address", where},
                                     {"port", each.port},
                                     {"health", each.healthy ? "healthy" : "unhealthy"},
                                     {"used", answers},
                                     {"reason", answers ? "" : "unhealthy, and others are healthy"}});
  }
  out_["dns"] =
      json::object{{"kind", "cloud_map"}, {"types", join(types, ", ")}, {"ttl", ttl}, {"addresses", addresses}};
  out_["endpoints"] = std::move(instances);
  if (answered == 0) {
    verdict("no_endpoint");
    return step("dns", false,
                fmt::format("{} is a Cloud Map name ({}) without instances: no address in the answer", name_,
                            join(types, ", ")));
  }
  verdict("direct");
  step("dns", true,
       fmt::format("{} is a Cloud Map name ({}, TTL {} s): {} of {} instances are answered{}{}", name_,
                   join(types, ", "), ttl, std::min(answered, kMaxAnswers), name.instances.size(),
                   any_healthy ? "" : ", all of them since none is healthy",
                   answered > kMaxAnswers ? ", at most eight at a time" : ""));
  step("path", true,
       "the application dials an instance directly: no alias, so no balancing, retries or request metrics");
}

std::vector<std::string> Explanation::known_names() const {
  std::vector<std::string> names;
  for (const AliasName& each : snapshot_.alias_names) {
    if (sees(each.namespace_number)) names.push_back(each.name);
  }
  for (const auto& [name, record] : snapshot_.cloud_map_names) names.push_back(name);
  return names;
}

void Explanation::not_found(const std::vector<const AliasName*>& hidden) {
  const auto near = nearest_few(name_, known_names(), 3);
  json::array suggestions;
  for (const std::string& each : near) suggestions.emplace_back(each);
  out_["nearest"] = std::move(suggestions);
  const std::string hint = near.empty() ? "" : fmt::format("; near it: {}", join(near, ", "));

  const NamespaceZone* zone = nullptr;
  for (const auto& [number, each] : snapshot_.namespaces) {
    if (each.dns && (name_ == each.name || name_.ends_with("." + each.name))) zone = &each;
  }
  out_["dns"] = json::object{{"kind", zone != nullptr ? "nxdomain" : "forwarded"}, {"addresses", json::array()}};
  verdict(zone != nullptr ? "unknown_name" : "not_ours");
  if (!hidden.empty()) {
    std::vector<std::string> names;
    for (const AliasName* each : hidden) names.push_back(namespace_name(snapshot_, each->namespace_number));
    step("dns", false,
         fmt::format("{} is an alias of namespace {}, which this client does not see; its service must join that "
                     "namespace (serviceConnectConfiguration)",
                     name_, join(names, ", ")));
  }
  if (zone != nullptr) {
    step("dns", false,
         fmt::format("{} lies in the DNS namespace {}, which has no such name: NXDOMAIN{}", name_, zone->name, hint));
  } else {
    step("dns", false,
         fmt::format("{} is no name of Causeway: the query goes on to the resolver that was asked{}", name_, hint));
  }
}

void Explanation::alias(const IpAddress& vip, const std::string& as) {
  const Alias* chosen = nullptr;
  std::vector<std::string> ports;
  for (const Alias& each : snapshot_.aliases) {
    if (each.vip4 != vip && each.vip6 != vip) continue;
    if (!sees(each.namespace_number)) continue;
    ports.push_back(std::to_string(each.port));
    if (!question_.port ? chosen == nullptr : each.port == *question_.port) chosen = &each;
  }
  if (ports.empty()) {
    verdict("refused");
    return step("alias", false,
                fmt::format("{} is an alias address of a namespace that this client does not see: refused "
                            "(ECONNREFUSED)",
                            as));
  }
  if (chosen == nullptr) {
    verdict("refused");
    return step("alias", false,
                fmt::format("there is no alias {}:{}, the connection is refused at once (ECONNREFUSED); its "
                            "ports: {}",
                            as, question_.port.value_or(0), join(ports, ", ")));
  }
  out_["port"] = chosen->port;
  const std::string others = question_.port || ports.size() == 1
                                 ? ""
                                 : fmt::format(" (it has the ports {}; this is the first)", join(ports, ", "));
  out_["alias"] = json::object{{"name", chosen->name},
                               {"port", chosen->port},
                               {"namespace", namespace_name(snapshot_, chosen->namespace_number)},
                               {"vip4", chosen->vip4.to_string()},
                               {"vip6", chosen->vip6.to_string()},
                               {"service_id", chosen->service.value}};
  step("alias", true,
       fmt::format("{}:{} is intercepted at connect(){}", chosen->vip4.to_string(), chosen->port, others));
  service(*chosen);
}

void Explanation::service(const Alias& alias) {
  const auto found = snapshot_.services.find(alias.service);
  if (found == snapshot_.services.end()) {
    verdict("no_endpoint");
    return step("service", false, "its service is gone: refused");
  }
  const Service& service = *found->second;
  out_["service"] = json::object{{"namespace", service.namespace_name},
                                 {"discovery_name", service.discovery_name},
                                 {"protocol", to_string(service.protocol)}};
  step("service", true,
       fmt::format("discovery name {} in namespace {}", service.discovery_name, service.namespace_name));
  path(service);
  settings(service);
  endpoints(service);
}

void Explanation::path(const Service& service) {
  const bool kernel = takes_kernel_path(service.settings);
  const std::string reason = path_reason(service);
  out_["path"] = json::object{
      {"kind", kernel ? "kernel" : "proxy"}, {"protocol", to_string(service.protocol)}, {"reason", reason}};
  step("path", true,
       kernel ? fmt::format("straight from connect() to an endpoint ({}): balanced by connection; no retries, timeouts "
                            "and metrics of requests",
                            reason)
              : fmt::format("through the proxy ({}); {}", reason, relayed_as(service.protocol)));
}

/// "path is kernel, by the service attribute causeway:path".
std::string Explanation::path_reason(const Service& service) const {
  const Setting& row = setting(SettingKey::path);
  std::string reason = fmt::format("path is {}", show_setting(row, row.get(service.settings)));
  if (service.settings.path == ServicePath::automatic) reason += ", which is the proxy for TCP";
  const control::ServiceRecord* record = record_of(service);
  if (record == nullptr) return reason;
  const auto resolved = control::resolve_settings(state_, host_, *record);
  const auto source = resolved.sources.find(SettingKey::path);
  if (source == resolved.sources.end()) return reason;
  return fmt::format(
      "{}, by {}", reason,
      control::describe(source->second, row, fmt::format("{}/{}", service.namespace_name, service.discovery_name)));
}

const control::ServiceRecord* Explanation::record_of(const Service& service) const {
  const auto found = std::find_if(state_.services.begin(), state_.services.end(),
                                  [&](const auto& each) { return each.second.number == service.id; });
  return found == state_.services.end() ? nullptr : &found->second;
}

/// Those that somebody has set; the others are what docs/settings.md says.
void Explanation::settings(const Service& service) {
  const control::ServiceRecord* record = record_of(service);
  if (record == nullptr) return;
  const auto view = settings_view(state_, host_, *record);
  json::array list;
  for (const auto& value : view.at("settings").as_array()) {
    const auto& one = value.as_object();
    if (!one.at("set").as_bool()) continue;
    const auto part = [&one](const char* name) { return std::string(one.at(name).as_string()); };
    step("setting", true,
         fmt::format("{} is {}, by {} (default {})", part("key"), part("value"), part("source"), part("default")));
    list.push_back(one);
  }
  out_["settings"] = std::move(list);
}

/// Of the kernel path, where dials beyond them are refused.
void Explanation::limits(const Service& service) {
  if (!kernel_.active) return;
  const auto active = kernel_.active(service.id);
  const auto most = service.settings.max_connections;
  const std::string each = service.settings.max_endpoint_connections == 0
                               ? ""
                               : fmt::format(", and at most {} to each endpoint (max_endpoint_connections)",
                                             service.settings.max_endpoint_connections);
  const bool reached = active >= static_cast<std::int64_t>(most);
  out_["limits"] = json::object{{"connections", active}, {"max_connections", most}, {"reached", reached}};
  if (reached) verdict("limit_reached");
  step("limits", !reached,
       fmt::format("{} of at most {} connections are open (max_connections){}{}", active, most, each,
                   reached ? ": a dial is refused at once (ECONNREFUSED)" : ""));
}

void Explanation::endpoints(const Service& service) {
  const bool any_healthy = std::any_of(service.endpoints.begin(), service.endpoints.end(),
                                       [](const Endpoint& e) { return e.health == Health::healthy; });
  const bool any_weight =
      std::any_of(service.endpoints.begin(), service.endpoints.end(), [any_healthy](const Endpoint& e) {
        return e.weight > 0 && e.health == (any_healthy ? Health::healthy : Health::unhealthy);
      });
  const bool kernel = takes_kernel_path(service.settings);
  json::array list;
  std::size_t used = 0, left_out_ones = 0;
  for (const Endpoint& each : service.endpoints) {
    // As upstream::candidates(): unhealthy ones count where no endpoint is healthy.
    const bool is_fit = each.health == Health::healthy || (each.health == Health::unhealthy && !any_healthy);
    const bool takes = is_fit && (each.weight > 0 || !any_weight);
    std::string reason;
    switch (each.health) {
      case Health::healthy:
        break;
      case Health::unhealthy:
        reason = takes ? "unhealthy, but no endpoint is healthy" : "its health status is UNHEALTHY";
        break;
      case Health::starting:
        reason = fmt::format("nothing listens on {} yet", each.address.to_string());
        break;
      case Health::draining:
        reason = "its task is stopping: it gets no new connection";
        break;
    }
    if (is_fit && !takes) reason = "its weight is 0, and others have some (attribute causeway:weight)";
    const bool left_out = takes && kernel && kernel_.is_ejected && kernel_.is_ejected(each.id);
    if (left_out) reason = "it keeps failing and is left out for a while";
    used += takes && !left_out ? 1U : 0U;
    left_out_ones += left_out ? 1U : 0U;
    list.push_back(json::object{{"instance_id", each.instance_id},
                                {"address", each.address.ip.to_string()},
                                {"port", each.address.port},
                                {"health", to_string(each.health)},
                                {"weight", each.weight},
                                {"used", takes && !left_out},
                                {"reason", reason}});
  }
  out_["endpoints"] = std::move(list);
  if (used == 0) used = left_out_ones;  // rather one that is left out than none
  verdict(used > 0 ? "answered" : "no_endpoint");
  if (kernel) limits(service);
  const std::string_view refusal =
      kernel ? "the connection is refused at once (ECONNREFUSED)" : refused_by_proxy(service.protocol);
  if (used > 0) {
    step("endpoints", true,
         fmt::format("{} of {} take connections, {}; one that keeps failing is left out for a while by {}", used,
                     service.endpoints.size(), kernel ? chosen_by(service) : in_turn(service),
                     kernel ? "the kernel (causeway_endpoints_ejected tells)"
                            : "the proxy (its log and causeway_endpoints_ejected tell)"));
  } else if (service.endpoints.empty()) {
    step("endpoints", false,
         fmt::format("none is registered: {}. Start a task with causeway run, or register an instance", refusal));
  } else {
    step("endpoints", false, fmt::format("none of {} takes connections: {}", service.endpoints.size(), refusal));
  }
}

}  // namespace

Result<json::object> explain(const control::State& state, const Snapshot& snapshot, const ExplainQuestion& question,
                             const control::Settings& host, const KernelView& kernel) {
  auto client = client_of(state, snapshot, question.from);
  if (!client) return client.error();
  return Explanation(state, snapshot, question, std::move(*client), host, kernel).run();
}

}  // namespace causeway::agent
