// CreateCluster, DescribeClusters, ListClusters, UpdateCluster, DeleteCluster.
#include <algorithm>

#include <fmt/core.h>

#include "control/ecs_find.h"
#include "control/ecs_operations.h"
#include "control/ecs_tags.h"
#include "control/sd_make.h"

namespace causeway::control {
namespace {

constexpr std::int64_t kDescribeClustersLimit = 100;

const Shape& defaults_shape() {
  auto name = text("namespace", 1024).required();
  name.min = 0;  // "" removes the default
  static const Shape shape{name};
  return shape;
}

struct ClusterCounts {
  std::int64_t services = 0, running = 0, pending = 0;
};

ClusterCounts count(const State& state, const std::string& cluster) {
  ClusterCounts counts;
  if (const auto of_cluster = state.ecs_services.find(cluster); of_cluster != state.ecs_services.end()) {
    counts.services = std::count_if(of_cluster->second.begin(), of_cluster->second.end(),
                                    [](const auto& entry) { return entry.second.status == "ACTIVE"; });
  }
  if (const auto of_cluster = state.tasks.find(cluster); of_cluster != state.tasks.end()) {
    for (const auto& [id, task] : of_cluster->second) {
      if (task.last_status == "RUNNING") ++counts.running;
      if (task.last_status == "PENDING") ++counts.pending;
    }
  }
  return counts;
}

bool included(const json::object& input, std::string_view what) {
  const auto include = texts_of(input, "include");
  return std::find(include.begin(), include.end(), what) != include.end();
}

json::object describe(const Call& call, const ClusterRecord& cluster, const json::object& input) {
  const auto counts = count(call.state, cluster.name);
  json::object out{{"clusterArn", cluster.arn},
                   {"clusterName", cluster.name},
                   {"status", cluster.status},
                   {"registeredContainerInstancesCount", 0},
                   {"runningTasksCount", counts.running},
                   {"pendingTasksCount", counts.pending},
                   {"activeServicesCount", counts.services},
                   {"statistics", json::array()},
                   {"capacityProviders", json::array()},
                   {"defaultCapacityProviderStrategy", json::array()}};
  out["tags"] = included(input, "TAGS") ? cluster.tags : json::array();
  out["settings"] = included(input, "SETTINGS") ? cluster.settings : json::array();
  if (!cluster.service_connect_namespace.empty()) {
    out["serviceConnectDefaults"] = json::object{{"namespace", cluster.service_connect_namespace}};
  }
  return out;
}

/// The ARN of the default namespace that was asked for. As at AWS, a new name makes an HTTP namespace, "" means none.
Checked<std::string> default_namespace(Call& call, const json::object& input) {
  const auto reference = text_of(object_of(input, "serviceConnectDefaults"), "namespace");
  if (reference.empty()) return std::string();
  if (const auto* found = call.state.find_namespace(reference)) return found->arn;
  if (reference.starts_with("arn:")) {
    return refusal(
        "NamespaceNotFoundException",
        fmt::format("There is no namespace with the ARN \"{}\"; list-namespaces shows those that exist", reference));
  }
  const bool printable = std::all_of(reference.begin(), reference.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (!printable || reference.find_first_of("<>\"/") != std::string::npos) {
    return invalid_parameter(
        fmt::format("serviceConnectDefaults.namespace \"{}\" is not a namespace's name: 1 to 1024 "
                    "printable characters without spaces, < > \" and /",
                    reference));
  }
  return make_namespace(call, reference, false).arn;
}

Checked<json::object> create_cluster(Call& call, const json::object& input) {
  const auto name = has(input, "clusterName") ? text_of(input, "clusterName") : std::string("default");
  if (!is_ecs_name(name)) {
    return invalid_parameter(
        fmt::format("clusterName \"{}\" is not valid: 1 to 255 letters, digits, \"_\" and \"-\"", name));
  }
  if (auto tags = check_tags(list_of(input, "tags")); !tags) return tags.error();
  const auto standing = call.state.clusters.find(name);
  const bool exists = standing != call.state.clusters.end() && standing->second.status == "ACTIVE";
  auto defaults = default_namespace(call, input);
  if (!defaults) return defaults.error();
  if (exists) {
    // Idempotent, as at AWS; a default that would be lost in silence there is refused.
    if (has(input, "serviceConnectDefaults") && *defaults != standing->second.service_connect_namespace) {
      return client_exception(
          fmt::format("Cluster \"{}\" exists with other serviceConnectDefaults; change them with "
                      "update-cluster --cluster {}",
                      name, name));
    }
    return json::object{{"cluster", describe(call, standing->second, input)}};
  }
  ClusterRecord cluster;
  cluster.name = name;
  cluster.arn = call.ecs_arn("cluster/" + name);
  cluster.status = "ACTIVE";
  cluster.service_connect_namespace = *defaults;
  cluster.settings = list_of(input, "settings");
  cluster.tags = list_of(input, "tags");
  call.put(cluster);
  auto body = describe(call, cluster, input);
  body["tags"] = cluster.tags;
  body["settings"] = cluster.settings;
  return json::object{{"cluster", std::move(body)}};
}

Checked<json::object> describe_clusters(Call& call, const json::object& input) {
  auto references = texts_of(input, "clusters");
  if (references.empty()) references.emplace_back("default");
  json::array found;
  json::array failures;
  for (const auto& reference : references) {
    const auto name = cluster_name(call, reference);
    const auto cluster = name ? call.state.clusters.find(*name) : call.state.clusters.end();
    if (cluster != call.state.clusters.end()) {
      found.push_back(describe(call, cluster->second, input));
    } else {
      const auto arn = reference.starts_with("arn:") ? reference : call.ecs_arn("cluster/" + reference);
      failures.push_back(json::object{{"arn", arn}, {"reason", "MISSING"}});
    }
  }
  return json::object{{"clusters", std::move(found)}, {"failures", std::move(failures)}};
}

Checked<json::object> list_clusters(Call& call, const json::object& input) {
  std::vector<std::string> arns;
  for (const auto& [name, cluster] : call.state.clusters) {
    if (cluster.status == "ACTIVE") arns.push_back(cluster.arn);
  }
  return page(input, "clusterArns", arns);
}

Checked<json::object> update_cluster(Call& call, const json::object& input) {
  const auto found = find_cluster(call, input);
  if (!found) return found.error();
  auto cluster = **found;
  if (has(input, "serviceConnectDefaults")) {
    auto defaults = default_namespace(call, input);
    if (!defaults) return defaults.error();
    cluster.service_connect_namespace = *defaults;
  }
  if (has(input, "settings")) cluster.settings = list_of(input, "settings");
  call.put(cluster);
  return json::object{{"cluster", describe(call, cluster, input)}};
}

Checked<json::object> delete_cluster(Call& call, const json::object& input) {
  const auto found = find_cluster(call, input);
  if (!found) return found.error();
  auto cluster = **found;
  if (const auto of_cluster = call.state.ecs_services.find(cluster.name); of_cluster != call.state.ecs_services.end()) {
    for (const auto& [name, service] : of_cluster->second) {
      if (service.status == "INACTIVE") continue;
      return refusal(
          "ClusterContainsServicesException",
          fmt::format("The cluster \"{}\" cannot be deleted while it has services: \"{}\" is {}; delete it with "
                      "delete-service --force first",
                      cluster.name, name, service.status));
    }
  }
  if (const auto of_cluster = call.state.tasks.find(cluster.name); of_cluster != call.state.tasks.end()) {
    for (const auto& [id, task] : of_cluster->second) {
      if (task.last_status == "STOPPED") continue;
      return refusal(
          "ClusterContainsTasksException",
          fmt::format("The cluster \"{}\" cannot be deleted while it has tasks: {} is {}; stop it with stop-task "
                      "first",
                      cluster.name, id, task.last_status));
    }
  }
  cluster.status = "INACTIVE";
  call.put(cluster);
  return json::object{{"cluster", describe(call, cluster, input)}};
}

}  // namespace

void add_cluster_operations(Operations& operations) {
  static const Shape create{text("clusterName", 255), objects("tags", tag_shape()), any_list("settings"),
                            any_object("configuration"), object("serviceConnectDefaults", defaults_shape())};
  static const Shape describe_shape{texts("clusters", kDescribeClustersLimit), texts("include")};
  static const Shape list{text("nextToken"), integer("maxResults", 1, 100)};
  static const Shape update{text("cluster").required(), any_list("settings"), any_object("configuration"),
                            object("serviceConnectDefaults", defaults_shape())};
  static const Shape remove{text("cluster").required()};
  operations["CreateCluster"] = handler(create, create_cluster);
  operations["DescribeClusters"] = handler(describe_shape, describe_clusters);
  operations["ListClusters"] = handler(list, list_clusters);
  operations["UpdateCluster"] = handler(update, update_cluster);
  operations["DeleteCluster"] = handler(remove, delete_cluster);
}

}  // namespace causeway::control
