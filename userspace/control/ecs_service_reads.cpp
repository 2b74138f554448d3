// DescribeServices, ListServices, ListServicesByNamespace.
#include <algorithm>

#include <fmt/core.h>

#include "control/ecs_describe.h"
#include "control/ecs_find.h"
#include "control/ecs_operations.h"

namespace causeway::control {
namespace {

constexpr std::int64_t kDescribeServicesLimit = 10;

Checked<json::object> describe_services(Call& call, const json::object& input) {
  const auto cluster = find_cluster(call, input);
  if (!cluster) return cluster.error();
  const auto references = texts_of(input, "services");
  if (references.empty()) return invalid_parameter("services is empty; name 1 to 10 services");
  const auto include = texts_of(input, "include");
  const bool with_tags = std::find(include.begin(), include.end(), "TAGS") != include.end();
  json::array found;
  json::array failures;
  for (const auto& reference : references) {
    if (const auto* service = find_ecs_service(call, (*cluster)->name, reference)) {
      found.push_back(describe_service(call, *service, with_tags));
    } else {
      const bool is_arn = reference.starts_with("arn:");
      failures.push_back(
          missing(is_arn ? reference : call.ecs_arn(fmt::format("service/{}/{}", (*cluster)->name, reference))));
    }
  }
  return json::object{{"services", std::move(found)}, {"failures", std::move(failures)}};
}

Checked<json::object> list_services(Call& call, const json::object& input) {
  const auto cluster = find_cluster(call, input);
  if (!cluster) return cluster.error();
  const auto launch_type = text_of(input, "launchType");
  const auto strategy = text_of(input, "schedulingStrategy");
  std::vector<std::string> arns;
  if (const auto services = call.state.ecs_services.find((*cluster)->name); services != call.state.ecs_services.end()) {
    for (const auto& [name, service] : services->second) {
      if (service.status == "INACTIVE") continue;
      const auto& document = service.document;
      const auto its_type = has(document, "launchType") ? text_of(document, "launchType") : "EXTERNAL";
      const auto its_strategy =
          has(document, "schedulingStrategy") ? text_of(document, "schedulingStrategy") : "REPLICA";
      if (!launch_type.empty() && its_type != launch_type) continue;
      if (!strategy.empty() && its_strategy != strategy) continue;
      arns.push_back(service.arn);
    }
  }
  return page(input, "serviceArns", arns);
}

Checked<json::object> list_services_by_namespace(Call& call, const json::object& input) {
  const auto reference = text_of(input, "namespace");
  const auto* space = call.state.find_namespace(reference);
  if (space == nullptr) {
    return refusal("NamespaceNotFoundException",
                   fmt::format("There is no namespace \"{}\"; list-namespaces shows those that exist", reference));
  }
  std::vector<std::string> arns;
  for (const auto& [cluster, services] : call.state.ecs_services) {
    for (const auto& [name, service] : services) {
      if (service.status != "INACTIVE" && service.service_connect_namespace == space->id) arns.push_back(service.arn);
    }
  }
  return page(input, "serviceArns", arns);
}

}  // namespace

void add_service_reading_operations(Operations& operations) {
  static const Shape describe{text("cluster"), texts("services", kDescribeServicesLimit).required(), texts("include")};
  static const Shape list{text("cluster"), text("nextToken"), integer("maxResults", 1, 100),
                          text("launchType").one_of("EC2|FARGATE|EXTERNAL|MANAGED_INSTANCES"),
                          text("schedulingStrategy").one_of("REPLICA|DAEMON")};
  static const Shape by_namespace{text("namespace").required(), text("nextToken"), integer("maxResults", 1, 100)};
  operations["DescribeServices"] = handler(describe, describe_services);
  operations["ListServices"] = handler(list, list_services);
  operations["ListServicesByNamespace"] = handler(by_namespace, list_services_by_namespace);
}

}  // namespace causeway::control
