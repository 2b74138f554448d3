#include <fmt/core.h>
#include <strings.h>

#include "control/sd_common.h"
#include "control/sd_make.h"

namespace causeway::control::sd {
namespace {

constexpr Shape kHttpName{
    .min = 1, .max = 1024, .matches = is_namespace_name, .form = "visible ASCII that does not start with arn:"};
constexpr Shape kDnsName{.min = 1,
                         .max = 253,
                         .matches = is_dns_name,
                         .form = "a DNS name: labels of 1 to 63 letters, digits, '-' and '_', joined by dots"};
constexpr Member kSoaMembers[] = {{"TTL", &kTtl, true}};
constexpr Shape kSoa = structure(kSoaMembers);
constexpr Member kDnsPropertiesMembers[] = {{"SOA", &kSoa, true}};
constexpr Shape kDnsProperties = structure(kDnsPropertiesMembers);
constexpr Member kPropertiesMembers[] = {{"DnsProperties", &kDnsProperties, true}};
constexpr Shape kProperties = structure(kPropertiesMembers);

constexpr Member kCreateHttpMembers[] = {
    {"Name", &kHttpName, true}, {"CreatorRequestId", &kResourceId}, {"Description", &kDescription}, {"Tags", &kTags}};
constexpr Shape kCreateHttp = structure(kCreateHttpMembers);
constexpr Member kCreatePrivateMembers[] = {{"Name", &kDnsName, true},
                                            {"Vpc", &kResourceId, true},
                                            {"CreatorRequestId", &kResourceId},
                                            {"Description", &kDescription},
                                            {"Tags", &kTags},
                                            {"Properties", &kProperties}};
constexpr Shape kCreatePrivate = structure(kCreatePrivateMembers);
constexpr Member kByIdNamespacesMembers[] = {{"Id", &kArn, true}};
constexpr Shape kByIdNamespaces = structure(kByIdNamespacesMembers);
constexpr Member kListNamespacesMembers[] = {{"NextToken", &kNextToken}, {"MaxResults", &kMaxResults}, {"Filters", &kFilters}};
constexpr Shape kListNamespaces = structure(kListNamespacesMembers);

const char* type_of(const NamespaceRecord& record) {
  return record.dns ? "DNS_PRIVATE" : "HTTP";
}

json::object render(const Call& call, const NamespaceRecord& record) {
  json::object properties;
  if (record.dns) {
    // A client may print it; there is no hosted zone behind it.
    std::string zone = "Z" + record.id.substr(record.id.find('-') + 1);
    for (char& c : zone) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    properties["DnsProperties"] = {{"HostedZoneId", zone}, {"SOA", {{"TTL", record.soa_ttl}}}};
  }
  properties["HttpProperties"] = {{"HttpName", record.name}};
  json::object out{{"Id", record.id},
                   {"Arn", record.arn},
                   {"ResourceOwner", call.settings.account},
                   {"Name", record.name},
                   {"Type", type_of(record)},
                   {"ServiceCount", service_count(call.state, record.id)},
                   {"Properties", std::move(properties)},
                   {"CreateDate", record.created}};
  if (!record.description.empty()) out["Description"] = record.description;
  return out;
}

/// The operation that made it, for a request that is sent a second time.
const OperationRecord* creation_of(const State& state, const NamespaceRecord& record) {
  for (const auto& [id, operation] : state.operations) {
    if (operation.type != "CREATE_NAMESPACE") continue;
    const auto target = operation.targets.find("NAMESPACE");
    if (target != operation.targets.end() && target->second == record.id) return &operation;
  }
  return nullptr;
}

ApiResult already_exists(const State& state, const NamespaceRecord& standing, bool dns, const std::string& creator) {
  if (!creator.empty() && creator == standing.creator_request_id && dns == standing.dns) {
    if (const auto* operation = creation_of(state, standing)) return answer({{"OperationId", operation->id}});
  }
  return fail(
      400, "NamespaceAlreadyExists",
      fmt::format("Namespace \"{}\" ({}, {}) exists already; a name is given once, in upper or lower case: use that "
                  "one, delete it, or choose another name",
                  standing.name, standing.id, type_of(standing)),
      {{"NamespaceId", standing.id}, {"CreatorRequestId", standing.creator_request_id}});
}

ApiResult create(Call& call, const json::object& input, bool dns) {
  const auto name = text(input, "Name");
  const auto creator = text(input, "CreatorRequestId");
  if (const auto* standing = call.state.find_namespace_by_name(name)) {
    return already_exists(call.state, *standing, dns, creator);
  }
  Tags tags;
  if (auto wrong = read_tags(input, tags); !wrong.empty()) return invalid_input(wrong);
  auto record = make_namespace(call, name, dns);
  record.vpc = text(input, "Vpc");
  record.description = text(input, "Description");
  record.creator_request_id = creator;
  record.tags = std::move(tags);
  if (const auto* properties = object(input, "Properties")) {
    const auto& soa = *object(*object(*properties, "DnsProperties"), "SOA");
    record.soa_ttl = static_cast<std::uint32_t>(integer(soa, "TTL", record.soa_ttl));
  }
  call.put(record);
  return answer({{"OperationId", call.start_operation("CREATE_NAMESPACE", {{"NAMESPACE", record.id}})}});
}

ApiResult create_http_namespace(Call& call, const json::object& input) {
  return create(call, input, false);
}
ApiResult create_private_dns_namespace(Call& call, const json::object& input) {
  return create(call, input, true);
}

ApiResult get_namespace(Call& call, const json::object& input) {
  const auto id = text(input, "Id");
  const auto* record = find_namespace(call.state, id);
  if (record == nullptr) return namespace_not_found(id);
  auto out = render(call, *record);
  if (!record->creator_request_id.empty()) out["CreatorRequestId"] = record->creator_request_id;
  return answer({{"Namespace", std::move(out)}});
}

ApiResult list_namespaces(Call& call, const json::object& input) {
  auto wrong = misfit_filters(input, {{.name = "TYPE", .begins_with = true},
                                      {.name = "NAME", .begins_with = true},
                                      {.name = "HTTP_NAME", .begins_with = true},
                                      {.name = "RESOURCE_OWNER"}});
  if (!wrong.empty()) return invalid_input(wrong);
  const auto wanted = [&](const NamespaceRecord& record) {
    return passes_filters(input, [&](std::string_view name) -> std::string {
      if (name == "TYPE") return type_of(record);
      return name == "RESOURCE_OWNER" ? "SELF" : record.name;
    });
  };
  return answer_page(input, "Namespaces", call.state.namespaces, wanted,
                     [&](const NamespaceRecord& record) { return render(call, record); });
}

ApiResult in_use(const NamespaceRecord& record, const std::string& by) {
  return fail(409, "ResourceInUse", fmt::format("Namespace \"{}\" ({}) is not empty: {}", record.name, record.id, by));
}

ApiResult delete_namespace(Call& call, const json::object& input) {
  const auto id = text(input, "Id");
  const auto* record = find_namespace(call.state, id);
  if (record == nullptr) return namespace_not_found(id);
  for (const auto& [service_id, service] : call.state.services) {
    if (service.namespace_id != record->id) continue;
    return in_use(*record, fmt::format("service \"{}\" ({}) is in it; delete it first", service.name, service_id));
  }
  for (const auto& [cluster, services] : call.state.ecs_services) {
    for (const auto& [name, service] : services) {
      if (service.service_connect_namespace != record->id || service.status == "INACTIVE") continue;
      return in_use(*record,
                    fmt::format("ECS service \"{}\" of cluster \"{}\" uses it for Service Connect; delete or update "
                                "that service first",
                                name, cluster));
    }
  }
  call.erase(*record);
  return answer({{"OperationId", call.start_operation("DELETE_NAMESPACE", {{"NAMESPACE", record->id}})}});
}

}  // namespace

void add_namespace_operations(Operations& operations) {
  operations["CreateHttpNamespace"] = checked(kCreateHttp, create_http_namespace);
  operations["CreatePrivateDnsNamespace"] = checked(kCreatePrivate, create_private_dns_namespace);
  operations["GetNamespace"] = checked(kByIdNamespaces, get_namespace);
  operations["ListNamespaces"] = checked(kListNamespaces, list_namespaces);
  operations["DeleteNamespace"] = checked(kByIdNamespaces, delete_namespace);
}

}  // namespace causeway::control::sd
