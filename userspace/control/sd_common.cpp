#include "control/sd_common.h"

#include <algorithm>

#include <fmt/core.h>

namespace causeway::control::sd {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_label(std::string_view label) {
  if (label.empty() || label.size() > 63) return false;
  if (label.front() == '-' || label.back() == '-') return false;
  return std::all_of(label.begin(), label.end(), [](char c) { return is_word(c) || c == '-'; });
}

constexpr std::size_t kTagsAResource = 50;

}  // namespace

bool is_visible_ascii(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '!' && c <= '~'; });
}

bool is_namespace_name(std::string_view text) {
  return is_visible_ascii(text) && !text.starts_with("arn:");
}

bool is_service_name(std::string_view text) {
  for (;;) {
    const auto dot = text.find('.');
    if (!is_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_dns_name(std::string_view text) {
  return text.size() <= 253 && is_service_name(text);
}

bool is_instance_id(std::string_view text) {
  constexpr std::string_view kMarks = "/:.@-";
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [&](char c) { return is_word(c) || kMarks.find(c) != std::string_view::npos; });
}

bool is_attribute_value(std::string_view text) {
  if (text.empty()) return true;
  if (text.front() < '!' || text.front() > '~') return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= ' ' && c <= '~') || c == '\t'; });
}

Handler checked(const Shape& shape, Handler handler) {
  return [&shape, handler = std::move(handler)](Call& call, const json::object& input) {
    if (auto wrong = misfit(json::value(input), shape); !wrong.empty()) return invalid_input(std::move(wrong));
    return handler(call, input);
  };
}

ApiResult invalid_input(std::string message) {
  return fail(400, "InvalidInput", std::move(message));
}

ApiResult answer(json::object body) {
  ApiResult result;
  result.body = std::move(body);
  return result;
}

const NamespaceRecord* find_namespace(const State& state, std::string_view reference) {
  const auto found = state.namespaces.find(std::string(reference));
  if (found != state.namespaces.end()) return &found->second;
  return reference.starts_with("arn:") ? state.find_namespace(reference) : nullptr;
}

const ServiceRecord* find_service(const State& state, std::string_view reference) {
  const auto found = state.services.find(std::string(reference));
  if (found != state.services.end()) return &found->second;
  if (!reference.starts_with("arn:")) return nullptr;
  for (const auto& [id, service] : state.services) {
    if (service.arn == reference) return &service;
  }
  return nullptr;
}

const InstanceRecord* find_instance(const State& state, const std::string& service_id, const std::string& id) {
  const auto of_service = state.instances.find(service_id);
  if (of_service == state.instances.end()) return nullptr;
  const auto found = of_service->second.find(id);
  return found == of_service->second.end() || found->second.draining ? nullptr : &found->second;
}

std::size_t instance_count(const State& state, const std::string& service_id) {
  const auto of_service = state.instances.find(service_id);
  if (of_service == state.instances.end()) return 0;
  const auto& instances = of_service->second;
  return static_cast<std::size_t>(
      std::count_if(instances.begin(), instances.end(), [](const auto& entry) { return !entry.second.draining; }));
}

std::size_t service_count(const State& state, const std::string& namespace_id) {
  const auto& services = state.services;
  return static_cast<std::size_t>(std::count_if(
      services.begin(), services.end(), [&](const auto& entry) { return entry.second.namespace_id == namespace_id; }));
}

ApiResult namespace_not_found(std::string_view reference) {
  return fail(
      404, "NamespaceNotFound",
      fmt::format("No namespace \"{}\"; `aws servicediscovery list-namespaces` shows those that exist", reference));
}

ApiResult service_not_found(std::string_view reference) {
  return fail(404, "ServiceNotFound",
              fmt::format("No service \"{}\"; `aws servicediscovery list-services` shows those that exist", reference));
}

ApiResult instance_not_found(const ServiceRecord& service, std::string_view id) {
  return fail(404, "InstanceNotFound",
              fmt::format("No instance \"{}\" in service \"{}\" ({})", id, service.name, service.id));
}

std::string read_tags(const json::object& input, Tags& tags) {
  const auto* list = array(input, "Tags");
  if (list == nullptr) return {};
  for (const auto& tag : *list) {
    auto key = text(tag.get_object(), "Key");
    if (key.starts_with("aws:")) return fmt::format("Tag keys that start with aws: are AWS's own, got \"{}\"", key);
    if (!tags.emplace(std::move(key), text(tag.get_object(), "Value")).second) return "Tags has one key twice";
  }
  if (tags.size() > kTagsAResource) return fmt::format("A resource has at most {} tags", kTagsAResource);
  return {};
}

// A token is the last key in hexadecimal behind a mark: opaque to clients, and it stays good when records come and go.
bool read_page(const json::object& input, Page& page) {
  page.limit = static_cast<std::size_t>(integer(input, "MaxResults", 100));
  const auto token = text(input, "NextToken");
  if (token.empty()) return true;
  if (!token.starts_with("k-") || token.size() % 2 != 0) return false;
  for (std::size_t i = 2; i < token.size(); i += 2) {
    const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
    const int high = digit(token[i]);
    const int low = digit(token[i + 1]);
    if (high < 0 || low < 0) return false;
    page.after += static_cast<char>(high * 16 + low);
  }
  return !page.after.empty();
}

std::string next_token(std::string_view last_key) {
  std::string token = "k-";
  for (const char c : last_key) token += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return token;
}

}  // namespace causeway::control::sd
