#include <fmt/core.h>

#include "control/sd_common.h"

namespace causeway::control::sd {
namespace {

constexpr Shape kResourceArn{.min = 1, .max = 1011};
constexpr Shape kTagKeys{.kind = Shape::Kind::list, .max = 200, .element = &kTagKey};
constexpr Member kTagMembersOf[] = {{"ResourceARN", &kResourceArn, true}, {"Tags", &kTags, true}};
constexpr Shape kTagInput = structure(kTagMembersOf);
constexpr Member kUntagTagsMembers[] = {{"ResourceARN", &kResourceArn, true}, {"TagKeys", &kTagKeys, true}};
constexpr Shape kUntagInput = structure(kUntagTagsMembers);
constexpr Member kListTagsMembers[] = {{"ResourceARN", &kResourceArn, true}};
constexpr Shape kListInput = structure(kListTagsMembers);

constexpr std::size_t kTagsAResource = 50;

ApiResult not_found(const std::string& arn) {
  return fail(
      404, "ResourceNotFoundException",
      fmt::format("No namespace or service has the ARN \"{}\"; get-namespace and get-service show theirs", arn));
}

/// Calls `change` with a copy of the tags of the namespace or service, and puts what it leaves.
template <class Change>
ApiResult with_tags(Call& call, const std::string& arn, Change change) {
  const auto apply = [&](auto record) -> ApiResult {
    const auto before = record.tags;
    if (auto refused = change(record.tags); refused.error) return refused;
    if (record.tags != before) call.put(record);
    return answer({});
  };
  if (!arn.starts_with("arn:")) return not_found(arn);
  if (const auto* space = find_namespace(call.state, arn)) return apply(*space);
  if (const auto* service = find_service(call.state, arn)) return apply(*service);
  return not_found(arn);
}

ApiResult tag_resource(Call& call, const json::object& input) {
  Tags added;
  if (auto wrong = read_tags(input, added); !wrong.empty()) return invalid_input(wrong);
  const auto arn = text(input, "ResourceARN");
  return with_tags(call, arn, [&](Tags& tags) -> ApiResult {
    for (const auto& [key, value] : added) tags[key] = value;
    if (tags.size() <= kTagsAResource) return {};
    return fail(400, "TooManyTagsException", fmt::format("A resource has at most {} tags", kTagsAResource),
                {{"ResourceName", arn}});
  });
}

ApiResult untag_resource(Call& call, const json::object& input) {
  return with_tags(call, text(input, "ResourceARN"), [&](Tags& tags) -> ApiResult {
    for (const auto& key : *array(input, "TagKeys")) tags.erase(std::string(key.get_string()));
    return {};
  });
}

ApiResult list_tags(Call& call, const json::object& input) {
  json::array list;
  auto result = with_tags(call, text(input, "ResourceARN"), [&](Tags& tags) -> ApiResult {
    for (const auto& [key, value] : tags) list.push_back({{"Key", key}, {"Value", value}});
    return {};
  });
  if (!result.error) result.body["Tags"] = std::move(list);
  return result;
}

}  // namespace

void add_tag_operations(Operations& operations) {
  operations["TagResource"] = checked(kTagInput, tag_resource);
  operations["UntagResource"] = checked(kUntagInput, untag_resource);
  operations["ListTagsForResource"] = checked(kListInput, list_tags);
}

}  // namespace causeway::control::sd
