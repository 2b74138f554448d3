#include "control/ecs_find.h"

#include <algorithm>
#include <charconv>

#include <fmt/core.h>

namespace causeway::control {
namespace {

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/// What follows "KIND/" in an ARN of this region and account; the reference itself where it is no ARN.
Checked<std::string> resource(const Call& call, std::string_view kind, std::string_view reference) {
  if (!reference.starts_with("arn:")) return std::string(reference);
  const auto prefix = call.ecs_arn(fmt::format("{}/", kind));
  if (!reference.starts_with(prefix)) {
    return invalid_parameter(
        fmt::format("\"{}\" is not the ARN of a {} here; such an ARN begins with {}", reference, kind, prefix));
  }
  return std::string(reference.substr(prefix.size()));
}

struct FamilyRevision {
  std::string family;
  std::uint32_t revision = 0;  ///< 0: the latest ACTIVE one
};

std::optional<FamilyRevision> split_revision(std::string_view text) {
  const auto colon = text.find(':');
  FamilyRevision out{std::string(text.substr(0, colon)), 0};
  if (!is_ecs_name(out.family)) return std::nullopt;
  if (colon == std::string_view::npos) return out;
  const auto digits = text.substr(colon + 1);
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), out.revision);
  if (ec != std::errc{} || end != digits.data() + digits.size() || out.revision == 0) return std::nullopt;
  return out;
}

std::string revisions_of(const std::map<std::uint32_t, TaskDefinitionRecord>& family) {
  const auto first = family.begin()->first;
  const auto last = family.rbegin()->first;
  return first == last ? fmt::format("revision {}", first) : fmt::format("revisions {} to {}", first, last);
}

}  // namespace

bool is_ecs_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && std::all_of(name.begin(), name.end(), [](char c) {
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
  });
}

bool is_port_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), [](char c) { return is_lower_or_digit(c) || c == '_' || c == '-'; });
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

Checked<std::string> cluster_name(const Call& call, std::string_view reference) {
  if (reference.empty()) return std::string("default");
  return resource(call, "cluster", reference);
}

Checked<const ClusterRecord*> find_cluster(const Call& call, const json::object& input) {
  auto name = cluster_name(call, text_of(input, "cluster"));
  if (!name) return name.error();
  const auto found = call.state.clusters.find(*name);
  if (found == call.state.clusters.end() || found->second.status != "ACTIVE") {
    return refusal("ClusterNotFoundException",
                   fmt::format("Cluster \"{}\" not found; make it with create-cluster --cluster-name {}{}", *name,
                               *name, has(input, "cluster") ? "" : ", or name another one with --cluster"));
  }
  return &found->second;
}

Checked<ClusterMember> cluster_member(const Call& call, std::string_view kind, std::string_view reference) {
  auto text = resource(call, kind, reference);
  if (!text) return text.error();
  const auto slash = text->find('/');
  if (slash == std::string::npos) return ClusterMember{"", *text};
  return ClusterMember{text->substr(0, slash), text->substr(slash + 1)};
}

const EcsServiceRecord* find_ecs_service(const Call& call, const std::string& cluster, std::string_view reference) {
  const auto member = cluster_member(call, "service", reference);
  if (!member || (!member->cluster.empty() && member->cluster != cluster)) return nullptr;
  const auto of_cluster = call.state.ecs_services.find(cluster);
  if (of_cluster == call.state.ecs_services.end()) return nullptr;
  const auto found = of_cluster->second.find(member->name);
  return found == of_cluster->second.end() ? nullptr : &found->second;
}

const TaskRecord* find_task(const Call& call, const std::string& cluster, std::string_view reference) {
  const auto member = cluster_member(call, "task", reference);
  if (!member || (!member->cluster.empty() && member->cluster != cluster)) return nullptr;
  const auto of_cluster = call.state.tasks.find(cluster);
  if (of_cluster == call.state.tasks.end()) return nullptr;
  const auto found = of_cluster->second.find(member->name);
  return found == of_cluster->second.end() ? nullptr : &found->second;
}

Checked<const TaskDefinitionRecord*> find_task_definition(const Call& call, std::string_view reference) {
  auto text = resource(call, "task-definition", reference);
  if (!text) return text.error();
  const auto wanted = split_revision(*text);
  if (!wanted) {
    return client_exception(fmt::format(
        "Unable to describe task definition: \"{}\" is neither FAMILY, FAMILY:REVISION nor the ARN of one", reference));
  }
  const auto family = call.state.task_definitions.find(wanted->family);
  if (family == call.state.task_definitions.end() || family->second.empty()) {
    return client_exception(
        fmt::format("Unable to describe task definition \"{}\": there is no family \"{}\"; make it with "
                    "register-task-definition --family {}",
                    *text, wanted->family, wanted->family));
  }
  if (wanted->revision != 0) {
    const auto found = family->second.find(wanted->revision);
    if (found != family->second.end()) return &found->second;
    return client_exception(
        fmt::format("Unable to describe task definition \"{}\": family \"{}\" has {}; name one that "
                    "exists, or the family alone for its latest",
                    *text, wanted->family, revisions_of(family->second)));
  }
  for (auto it = family->second.rbegin(); it != family->second.rend(); ++it) {
    if (it->second.status == "ACTIVE") return &it->second;
  }
  return client_exception(
      fmt::format("Unable to describe task definition \"{}\": each revision of the family is INACTIVE; "
                  "register a new one",
                  *text));
}

const TaskDefinitionRecord* task_definition_of(const State& state, std::string_view arn) {
  constexpr std::string_view kKind = ":task-definition/";
  const auto at = arn.find(kKind);
  if (at == std::string_view::npos) return nullptr;
  const auto wanted = split_revision(arn.substr(at + kKind.size()));
  if (!wanted) return nullptr;
  const auto family = state.task_definitions.find(wanted->family);
  if (family == state.task_definitions.end()) return nullptr;
  const auto found = family->second.find(wanted->revision);
  return found == family->second.end() ? nullptr : &found->second;
}

}  // namespace causeway::control
