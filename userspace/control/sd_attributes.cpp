#include <fmt/core.h>

#include "control/sd_common.h"
#include "control/service_settings.h"

namespace causeway::control::sd {
namespace {

constexpr std::int64_t kMost = kAttributesAService;
constexpr Shape kKey{.min = 1, .max = 255};
constexpr Shape kValue{.max = 1024};
constexpr Shape kMap{.kind = Shape::Kind::map, .min = 1, .max = kMost, .key = &kKey, .element = &kValue};
constexpr Shape kKeys{.kind = Shape::Kind::list, .min = 1, .max = kMost, .element = &kKey};
constexpr Member kGetAttributesMembers[] = {{"ServiceId", &kArn, true}};
constexpr Shape kGetAttributes = structure(kGetAttributesMembers);
constexpr Member kUpdateAttributesMembers[] = {{"ServiceId", &kArn, true}, {"Attributes", &kMap, true}};
constexpr Shape kUpdateAttributes = structure(kUpdateAttributesMembers);
constexpr Member kDeleteAttributesMembers[] = {{"ServiceId", &kArn, true}, {"Attributes", &kKeys, true}};
constexpr Shape kDeleteAttributes = structure(kDeleteAttributesMembers);

ApiResult get_attributes(Call& call, const json::object& input) {
  const auto id = text(input, "ServiceId");
  const auto* service = find_service(call.state, id);
  if (service == nullptr) return service_not_found(id);
  json::object attributes;
  for (const auto& [key, value] : service->attributes) attributes[key] = value;
  return answer({{"ServiceAttributes",
                  {{"ServiceArn", service->arn},
                   {"ResourceOwner", call.settings.account},
                   {"Attributes", std::move(attributes)}}}});
}

ApiResult update_attributes(Call& call, const json::object& input) {
  const auto id = text(input, "ServiceId");
  const auto* service = find_service(call.state, id);
  if (service == nullptr) return service_not_found(id);
  const auto given = text_map(input, "Attributes");
  if (const auto wrong = misfit_attributes(given); !wrong.empty()) return invalid_input(wrong);
  auto changed = *service;
  for (const auto& [key, value] : given) changed.attributes[key] = value;
  if (changed.attributes.size() > kAttributesAService) {
    return fail(400, "ServiceAttributesLimitExceededException",
                fmt::format("A service has at most {} attributes, this would make {}; delete some first",
                            kAttributesAService, changed.attributes.size()));
  }
  if (changed.attributes != service->attributes) call.put(changed);
  return answer({});
}

ApiResult delete_attributes(Call& call, const json::object& input) {
  const auto id = text(input, "ServiceId");
  const auto* service = find_service(call.state, id);
  if (service == nullptr) return service_not_found(id);
  auto changed = *service;
  for (const auto& key : *array(input, "Attributes")) changed.attributes.erase(std::string(key.get_string()));
  if (changed.attributes != service->attributes) call.put(changed);
  return answer({});
}

}  // namespace

void add_attribute_operations(Operations& operations) {
  operations["GetServiceAttributes"] = checked(kGetAttributes, get_attributes);
  operations["UpdateServiceAttributes"] = checked(kUpdateAttributes, update_attributes);
  operations["DeleteServiceAttributes"] = checked(kDeleteAttributes, delete_attributes);
}

}  // namespace causeway::control::sd
