#include <algorithm>

#include <fmt/core.h>

#include "control/sd_common.h"
#include "control/sd_make.h"

namespace causeway::control::sd {
namespace {

constexpr std::string_view kRecordTypeValues[] = {"SRV", "A", "AAAA", "CNAME"};
constexpr Shape kRecordType{.values = kRecordTypeValues};
constexpr Member kDnsRecordMembers[] = {{"Type", &kRecordType, true}, {"TTL", &kTtl, true}};
constexpr Shape kDnsRecord = structure(kDnsRecordMembers);
constexpr Shape kDnsRecords{.kind = Shape::Kind::list, .min = 1, .max = 4, .element = &kDnsRecord};
constexpr std::string_view kRoutingPolicyValues[] = {"MULTIVALUE", "WEIGHTED"};
constexpr Shape kRoutingPolicy{.values = kRoutingPolicyValues};
constexpr Member kDnsConfigMembers[] = {
    {"NamespaceId", &kResourceId}, {"RoutingPolicy", &kRoutingPolicy}, {"DnsRecords", &kDnsRecords, true}};
constexpr Shape kDnsConfig = structure(kDnsConfigMembers);

constexpr std::string_view kHealthCheckTypeValues[] = {"HTTP", "HTTPS", "TCP"};
constexpr Shape kHealthCheckType{.values = kHealthCheckTypeValues};
constexpr Shape kFailureThreshold{.kind = Shape::Kind::integer, .min = 1, .max = 10};
constexpr Shape kResourcePath{.max = 255};
constexpr Member kHealthCheckMembers[] = {
    {"Type", &kHealthCheckType, true}, {"ResourcePath", &kResourcePath}, {"FailureThreshold", &kFailureThreshold}};
constexpr Shape kHealthCheck = structure(kHealthCheckMembers);
constexpr Member kCustomHealthMembers[] = {{"FailureThreshold", &kFailureThreshold}};
constexpr Shape kCustomHealth = structure(kCustomHealthMembers);

constexpr std::string_view kTypeValues[] = {"HTTP"};
constexpr Shape kType{.values = kTypeValues};
constexpr Member kCreateServicesMembers[] = {{"Name", &kServiceName, true},
                                     {"NamespaceId", &kArn},
                                     {"CreatorRequestId", &kResourceId},
                                     {"Description", &kDescription},
                                     {"DnsConfig", &kDnsConfig},
                                     {"HealthCheckConfig", &kHealthCheck},
                                     {"HealthCheckCustomConfig", &kCustomHealth},
                                     {"Tags", &kTags},
                                     {"Type", &kType}};
constexpr Shape kCreateServices = structure(kCreateServicesMembers);
constexpr Member kByIdServicesMembers[] = {{"Id", &kArn, true}};
constexpr Shape kByIdServices = structure(kByIdServicesMembers);
constexpr Member kListServicesMembers[] = {{"NextToken", &kNextToken}, {"MaxResults", &kMaxResults}, {"Filters", &kFilters}};
constexpr Shape kListServices = structure(kListServicesMembers);

json::object render(const Call& call, const ServiceRecord& record) {
  json::object out{{"Id", record.id},
                   {"Arn", record.arn},
                   {"ResourceOwner", call.settings.account},
                   {"Name", record.name},
                   {"NamespaceId", record.namespace_id},
                   {"InstanceCount", instance_count(call.state, record.id)},
                   {"Type", record.dns_records.empty() ? "HTTP" : "DNS_HTTP"},
                   {"CreateDate", record.created},
                   {"CreatedByAccount", call.settings.account}};
  if (!record.description.empty()) out["Description"] = record.description;
  if (!record.dns_records.empty()) {
    json::array records;
    for (const auto& spec : record.dns_records) records.push_back({{"Type", spec.type}, {"TTL", spec.ttl}});
    out["DnsConfig"] = {{"NamespaceId", record.namespace_id},
                        {"RoutingPolicy", record.routing_policy},
                        {"DnsRecords", std::move(records)}};
  }
  if (record.custom_health_failure_threshold) {
    out["HealthCheckCustomConfig"] = {{"FailureThreshold", *record.custom_health_failure_threshold}};
  }
  if (!record.creator_request_id.empty()) out["CreatorRequestId"] = record.creator_request_id;
  return out;
}

/// NamespaceId, or the older DnsConfig.NamespaceId; "" where neither is given.
ApiResult read_namespace(const State& state, const json::object& input, const NamespaceRecord*& out) {
  const auto given = text(input, "NamespaceId");
  const auto* dns = object(input, "DnsConfig");
  const auto older = dns == nullptr ? std::string() : text(*dns, "NamespaceId");
  if (given.empty() && older.empty()) return invalid_input("NamespaceId is required and missing");
  const auto* record = find_namespace(state, given.empty() ? older : given);
  if (record == nullptr) return namespace_not_found(given.empty() ? older : given);
  if (!given.empty() && !older.empty() && find_namespace(state, older) != record) {
    return invalid_input(
        fmt::format("NamespaceId (\"{}\") and DnsConfig.NamespaceId (\"{}\") are two namespaces", given, older));
  }
  out = record;
  return {};
}

/// Fills the record's DNS members; what is wrong, or "".
std::string read_dns_config(const json::object& config, const NamespaceRecord& space, ServiceRecord& record) {
  if (!space.dns) {
    return fmt::format(
        "DnsConfig does not go with the HTTP namespace \"{}\", which has no DNS; leave it out, or use a "
        "namespace made by create-private-dns-namespace",
        space.name);
  }
  const auto policy = text(config, "RoutingPolicy");
  record.routing_policy = policy.empty() ? "MULTIVALUE" : policy;
  for (const auto& value : *array(config, "DnsRecords")) {
    const auto type = text(value.get_object(), "Type");
    for (const auto& spec : record.dns_records) {
      if (spec.type == type) return fmt::format("DnsConfig.DnsRecords has {} twice", type);
    }
    record.dns_records.push_back({type, static_cast<std::uint32_t>(integer(value.get_object(), "TTL", 0))});
  }
  const bool cname = std::any_of(record.dns_records.begin(), record.dns_records.end(),
                                 [](const auto& spec) { return spec.type == "CNAME"; });
  if (!cname) return {};
  if (record.dns_records.size() > 1) return "DnsConfig.DnsRecords: CNAME stands alone (RFC 1034, 3.6.2)";
  if (record.routing_policy != "WEIGHTED") return "DnsConfig.RoutingPolicy must be WEIGHTED for CNAME records";
  return {};
}

/// Fills the record of the input; what is wrong, or "".
std::string read_service(const json::object& input, const NamespaceRecord& space, ServiceRecord& record) {
  if (object(input, "HealthCheckConfig") != nullptr) {
    return "HealthCheckConfig needs Route 53's health checkers, which do not reach private addresses and are not part "
           "of "
           "Causeway; use HealthCheckCustomConfig and update-instance-custom-health-status";
  }
  if (const auto* health = object(input, "HealthCheckCustomConfig")) {
    record.custom_health_failure_threshold = static_cast<std::uint32_t>(integer(*health, "FailureThreshold", 1));
  }
  if (const auto* dns = object(input, "DnsConfig")) {
    if (!text(input, "Type").empty()) return "Type HTTP means no DNS records: leave out either Type or DnsConfig";
    if (auto wrong = read_dns_config(*dns, space, record); !wrong.empty()) return wrong;
  }
  const auto full = record.name + "." + space.name;
  if (space.dns && full.size() > 253) return fmt::format("The name \"{}\" is longer than DNS's 253 characters", full);
  record.description = text(input, "Description");
  record.creator_request_id = text(input, "CreatorRequestId");
  return read_tags(input, record.tags);
}

bool same_request(const ServiceRecord& a, const ServiceRecord& b) {
  const auto same_records =
      std::equal(a.dns_records.begin(), a.dns_records.end(), b.dns_records.begin(), b.dns_records.end(),
                 [](const auto& x, const auto& y) { return x.type == y.type && x.ttl == y.ttl; });
  return same_records && a.name == b.name && a.description == b.description && a.routing_policy == b.routing_policy &&
         a.custom_health_failure_threshold == b.custom_health_failure_threshold &&
         a.creator_request_id == b.creator_request_id && !a.creator_request_id.empty();
}

ApiResult create_service(Call& call, const json::object& input) {
  const NamespaceRecord* space = nullptr;
  if (auto wrong = read_namespace(call.state, input, space); wrong.error) return wrong;
  ServiceRecord wanted;
  wanted.name = text(input, "Name");
  if (auto wrong = read_service(input, *space, wanted); !wrong.empty()) return invalid_input(wrong);
  if (const auto* standing = call.state.find_service(space->id, wanted.name)) {
    if (same_request(*standing, wanted)) return answer({{"Service", render(call, *standing)}});
    return fail(
        400, "ServiceAlreadyExists",
        fmt::format("Service \"{}\" ({}{}) is already in namespace \"{}\"; use it, delete it, or choose another name "
                    "(upper and lower case are the same)",
                    standing->name, standing->id, standing->service_connect ? ", of Service Connect" : "", space->name),
        {{"ServiceId", standing->id},
         {"ServiceArn", standing->arn},
         {"CreatorRequestId", standing->creator_request_id}});
  }
  const auto made = make_service(call, space->id, wanted.name, [&](ServiceRecord& record) {
    record.description = wanted.description;
    record.creator_request_id = wanted.creator_request_id;
    record.routing_policy = wanted.routing_policy;
    record.dns_records = wanted.dns_records;
    record.custom_health_failure_threshold = wanted.custom_health_failure_threshold;
    record.tags = wanted.tags;
  });
  return answer({{"Service", render(call, made)}});
}

ApiResult get_service(Call& call, const json::object& input) {
  const auto id = text(input, "Id");
  const auto* record = find_service(call.state, id);
  if (record == nullptr) return service_not_found(id);
  return answer({{"Service", render(call, *record)}});
}

ApiResult list_services(Call& call, const json::object& input) {
  auto wrong = misfit_filters(input, {{.name = "NAMESPACE_ID", .in = true}, {.name = "RESOURCE_OWNER"}});
  if (!wrong.empty()) return invalid_input(wrong);
  const auto wanted = [&](const ServiceRecord& record) {
    return passes_filters(input, [&](std::string_view name) -> std::string {
      return name == "NAMESPACE_ID" ? record.namespace_id : "SELF";
    });
  };
  return answer_page(input, "Services", call.state.services, wanted, [&](const ServiceRecord& record) {
    auto out = render(call, record);
    out.erase("NamespaceId");
    out.erase("CreatorRequestId");
    return out;
  });
}

/// The ECS service that a Cloud Map service serves, told to a person; "" without.
std::string ecs_user(const State& state, const ServiceRecord& record) {
  for (const auto& [cluster, services] : state.ecs_services) {
    for (const auto& [name, service] : services) {
      if (service.status == "INACTIVE") continue;
      const auto refers = [&](const json::array& list, const char* member) {
        return std::any_of(list.begin(), list.end(), [&](const json::value& entry) {
          return entry.is_object() && text(entry.get_object(), member) == record.arn;
        });
      };
      if (refers(service.service_connect_resources, "discoveryArn") ||
          refers(service.service_registries, "registryArn")) {
        return fmt::format(
            "ECS service \"{}\" of cluster \"{}\" registers its tasks in it; delete or update that service "
            "first",
            name, cluster);
      }
    }
  }
  return {};
}

ApiResult delete_service(Call& call, const json::object& input) {
  const auto id = text(input, "Id");
  const auto* record = find_service(call.state, id);
  if (record == nullptr) return service_not_found(id);
  const auto in_use = [&](const std::string& by) {
    return fail(409, "ResourceInUse", fmt::format("Service \"{}\" ({}) is in use: {}", record->name, record->id, by));
  };
  if (const auto found = call.state.instances.find(record->id); found != call.state.instances.end()) {
    const auto& first = found->second.begin()->second;
    return in_use(fmt::format("it has {} instance(s), \"{}\"{} among them; deregister them first", found->second.size(),
                              first.id, first.draining ? " (draining)" : ""));
  }
  if (auto user = ecs_user(call.state, *record); !user.empty()) return in_use(user);
  call.erase(*record);
  return answer({});
}

}  // namespace

void add_service_operations(Operations& operations) {
  operations["CreateService"] = checked(kCreateServices, create_service);
  operations["GetService"] = checked(kByIdServices, get_service);
  operations["ListServices"] = checked(kListServices, list_services);
  operations["DeleteService"] = checked(kByIdServices, delete_service);
}

}  // namespace causeway::control::sd
