// TagResource, UntagResource, ListTagsForResource.
#include "control/ecs_tags.h"

#include <set>

#include <fmt/core.h>

#include "control/ecs_find.h"
#include "control/ecs_operations.h"

namespace causeway::control {
namespace {

constexpr std::size_t kTagLimit = 50;

/// The tags of what an ARN names and the way to write them back.
struct Tagged {
  json::array tags;
  std::function<void(Call&, const json::array&)> write;
};

template <class R>
Tagged tagged(const R& record) {
  return {record.tags, [record](Call& call, const json::array& tags) {
            auto changed = record;
            changed.tags = tags;
            call.put(changed);
          }};
}

Tagged tagged(const EcsServiceRecord& record) {
  return {list_of(record.document, "tags"), [record](Call& call, const json::array& tags) {
            auto changed = record;
            changed.document["tags"] = tags;
            call.put(changed);
          }};
}

std::optional<Tagged> find_tagged(const Call& call, const std::string& arn) {
  for (const auto& [name, cluster] : call.state.clusters) {
    if (cluster.arn == arn && cluster.status == "ACTIVE") return tagged(cluster);
  }
  if (const auto* definition = task_definition_of(call.state, arn); definition != nullptr && definition->arn == arn) {
    return tagged(*definition);
  }
  if (const auto member = cluster_member(call, "service", arn); member && !member->cluster.empty()) {
    if (const auto* service = find_ecs_service(call, member->cluster, arn)) return tagged(*service);
  }
  return std::nullopt;
}

Checked<Tagged> find_resource(const Call& call, const json::object& input) {
  const auto arn = text_of(input, "resourceArn");
  if (auto found = find_tagged(call, arn)) return std::move(*found);
  return invalid_parameter(fmt::format("resourceArn \"{}\" names no cluster, service or task definition here", arn));
}

Checked<json::object> tag_resource(Call& call, const json::object& input) {
  auto found = find_resource(call, input);
  if (!found) return found.error();
  auto& tags = found->tags;
  for (const auto& tag : list_of(input, "tags")) {
    const auto key = text_of(tag.as_object(), "key");
    for (auto it = tags.begin(); it != tags.end();)
      it = text_of(it->as_object(), "key") == key ? tags.erase(it) : it + 1;
    tags.push_back(tag);
  }
  if (auto checked = check_tags(tags); !checked) return checked.error();
  found->write(call, tags);
  return json::object();
}

Checked<json::object> untag_resource(Call& call, const json::object& input) {
  auto found = find_resource(call, input);
  if (!found) return found.error();
  auto& tags = found->tags;
  for (const auto& key : texts_of(input, "tagKeys")) {
    for (auto it = tags.begin(); it != tags.end();)
      it = text_of(it->as_object(), "key") == key ? tags.erase(it) : it + 1;
  }
  found->write(call, tags);
  return json::object();
}

Checked<json::object> list_tags(Call& call, const json::object& input) {
  auto found = find_resource(call, input);
  if (!found) return found.error();
  return json::object{{"tags", std::move(found->tags)}};
}

}  // namespace

const Shape& tag_shape() {
  static const Shape shape{text("key", 128).required(), text("value", 256)};
  return shape;
}

Checked<> check_tags(const json::array& tags) {
  if (tags.size() > kTagLimit) {
    return invalid_parameter(fmt::format("{} tags were given; at most {} are allowed", tags.size(), kTagLimit));
  }
  std::set<std::string> keys;
  for (const auto& tag : tags) {
    const auto key = text_of(tag.as_object(), "key");
    if (!keys.insert(key).second) return invalid_parameter(fmt::format("the tag \"{}\" is given twice", key));
    if (lower_case(key).starts_with("aws:")) {
      return invalid_parameter(
          fmt::format("the tag \"{}\" begins with aws:, which is reserved; choose another key", key));
    }
  }
  return {};
}

void add_tag_operations(Operations& operations) {
  static const Shape tag{text("resourceArn").required(), objects("tags", tag_shape()).required()};
  static const Shape untag{text("resourceArn").required(), texts("tagKeys").required()};
  static const Shape list{text("resourceArn").required()};
  operations["TagResource"] = handler(tag, tag_resource);
  operations["UntagResource"] = handler(untag, untag_resource);
  operations["ListTagsForResource"] = handler(list, list_tags);
}

}  // namespace causeway::control
