#include "control/ecs_check.h"

#include <algorithm>

#include <fmt/core.h>

namespace causeway::control {
namespace {

std::string join(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

ApiError wrong_type(const std::string& path, std::string_view expected) {
  return refusal("SerializationException", fmt::format("{} must be {}", path, expected));
}

bool is_choice(std::string_view choices, std::string_view word) {
  while (!choices.empty()) {
    const auto bar = choices.find('|');
    if (choices.substr(0, bar) == word) return true;
    if (bar == std::string_view::npos) return false;
    choices.remove_prefix(bar + 1);
  }
  return false;
}

Checked<> check_text(const json::value& value, const Member& member, const std::string& path) {
  const auto* string = value.if_string();
  if (string == nullptr) return wrong_type(path, "a string");
  const std::string_view given(string->data(), string->size());
  if (static_cast<std::int64_t>(given.size()) > member.max) {
    return invalid_parameter(
        fmt::format("{} has {} characters; at most {} are allowed", path, given.size(), member.max));
  }
  if (given.empty() && member.needed && member.min > 0) return invalid_parameter(fmt::format("{} is empty", path));
  if (!member.choices.empty() && !is_choice(member.choices, given)) {
    return invalid_parameter(fmt::format("{} is \"{}\"; it must be one of {}", path, given, member.choices));
  }
  return {};
}

Checked<> check_integer(const json::value& value, const Member& member, const std::string& path) {
  boost::system::error_code ec;
  const auto number = value.to_number<std::int64_t>(ec);
  if (ec || value.is_double()) return wrong_type(path, "an integer");
  if (number < member.min || number > member.max) {
    return invalid_parameter(fmt::format("{} is {}; it must be {} to {}", path, number, member.min, member.max));
  }
  return {};
}

Checked<> check_list(const json::value& value, const Member& member, const std::string& path) {
  const auto* list = value.if_array();
  if (list == nullptr) return wrong_type(path, "a list");
  if (static_cast<std::int64_t>(list->size()) > member.max) {
    return invalid_parameter(fmt::format("{} has {} entries; at most {} are allowed", path, list->size(), member.max));
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    const auto& entry = (*list)[i];
    const auto entry_path = fmt::format("{}[{}]", path, i);
    if (member.kind == Kind::texts && !entry.is_string()) return wrong_type(entry_path, "a string");
    if (member.kind != Kind::objects) continue;
    if (!entry.is_object()) return wrong_type(entry_path, "an object");
    if (auto checked = check_shape(entry.get_object(), *member.shape, entry_path); !checked) return checked.error();
  }
  return {};
}

Checked<> check_member(const json::value& value, const Member& member, const std::string& path) {
  switch (member.kind) {
    case Kind::text:
      return check_text(value, member, path);
    case Kind::integer:
      return check_integer(value, member, path);
    case Kind::boolean:
      if (!value.is_bool()) return wrong_type(path, "true or false");
      return {};
    case Kind::object:
      if (!value.is_object()) return wrong_type(path, "an object");
      return check_shape(value.get_object(), *member.shape, path);
    case Kind::any_object:
      if (!value.is_object()) return wrong_type(path, "an object");
      return {};
    case Kind::texts:
    case Kind::objects:
    case Kind::any_list:
      return check_list(value, member, path);
  }
  return {};
}

const json::value* find(const json::object& input, std::string_view name) {
  const auto* value = input.if_contains(json::string_view(name.data(), name.size()));
  return value == nullptr || value->is_null() ? nullptr : value;
}

}  // namespace

ApiError refusal(std::string type, std::string message) {
  return ApiError{400, std::move(type), std::move(message), {}};
}
ApiError invalid_parameter(std::string message) {
  return refusal("InvalidParameterException", std::move(message));
}
ApiError client_exception(std::string message) {
  return refusal("ClientException", std::move(message));
}
ApiError unsupported_feature(std::string message) {
  return refusal("UnsupportedFeatureException", std::move(message));
}

Member Member::required() const {
  auto copy = *this;
  copy.needed = true;
  return copy;
}

Member Member::one_of(std::string_view words) const {
  auto copy = *this;
  copy.choices = words;
  return copy;
}

Member text(std::string_view name, std::int64_t max_length) {
  return {name, Kind::text, 1, max_length};
}
Member integer(std::string_view name, std::int64_t min, std::int64_t max) {
  return {name, Kind::integer, min, max};
}
Member boolean(std::string_view name) {
  return {name, Kind::boolean};
}
Member object(std::string_view name, const Shape& shape) {
  return {name, Kind::object, 0, std::numeric_limits<std::int64_t>::max(), &shape};
}
Member objects(std::string_view name, const Shape& shape, std::int64_t max_entries) {
  return {name, Kind::objects, 0, max_entries, &shape};
}
Member texts(std::string_view name, std::int64_t max_entries) {
  return {name, Kind::texts, 0, max_entries};
}
Member any_list(std::string_view name) {
  return {name, Kind::any_list};
}
Member any_object(std::string_view name) {
  return {name, Kind::any_object};
}

Checked<> check_shape(const json::object& input, const Shape& shape, const std::string& path) {
  for (const auto& member : shape) {
    const auto* value = find(input, member.name);
    const auto member_path = join(path, member.name);
    if (value == nullptr) {
      if (member.needed) return invalid_parameter(fmt::format("{} is missing", member_path));
      continue;
    }
    if (auto checked = check_member(*value, member, member_path); !checked) return checked.error();
  }
  return {};
}

bool has(const json::object& input, std::string_view name) {
  return find(input, name) != nullptr;
}

std::string text_of(const json::object& input, std::string_view name) {
  const auto* value = find(input, name);
  const auto* string = value == nullptr ? nullptr : value->if_string();
  return string == nullptr ? std::string() : std::string(string->data(), string->size());
}

std::int64_t integer_of(const json::object& input, std::string_view name, std::int64_t otherwise) {
  const auto* value = find(input, name);
  if (value == nullptr) return otherwise;
  boost::system::error_code ec;
  const auto number = value->to_number<std::int64_t>(ec);
  return ec ? otherwise : number;
}

bool flag_of(const json::object& input, std::string_view name, bool otherwise) {
  const auto* value = find(input, name);
  return value == nullptr || !value->is_bool() ? otherwise : value->get_bool();
}

const json::array& list_of(const json::object& input, std::string_view name) {
  static const json::array empty;
  const auto* value = find(input, name);
  return value == nullptr || !value->is_array() ? empty : value->get_array();
}

const json::object& object_of(const json::object& input, std::string_view name) {
  static const json::object empty;
  const auto* value = find(input, name);
  return value == nullptr || !value->is_object() ? empty : value->get_object();
}

std::vector<std::string> texts_of(const json::object& input, std::string_view name) {
  std::vector<std::string> all;
  for (const auto& value : list_of(input, name)) {
    if (const auto* string = value.if_string()) all.emplace_back(string->data(), string->size());
  }
  return all;
}

Checked<json::object> page(const json::object& input, std::string_view member, const std::vector<std::string>& all,
                           std::int64_t most) {
  const auto limit = integer_of(input, "maxResults", most);
  if (limit < 1 || limit > most) {
    return invalid_parameter(fmt::format("maxResults is {}; it must be 1 to {}", limit, most));
  }
  auto from = all.begin();
  if (const auto token = text_of(input, "nextToken"); !token.empty()) {
    const auto last = std::find(all.begin(), all.end(), token);
    if (last == all.end()) {
      return invalid_parameter("nextToken is not valid (any more): list again from the beginning, without nextToken");
    }
    from = last + 1;
  }
  const auto to = from + std::min<std::ptrdiff_t>(limit, all.end() - from);
  json::object body;
  body[json::string_view(member.data(), member.size())] = json::array(from, to);
  if (to != all.end()) body["nextToken"] = *(to - 1);
  return body;
}

Handler handler(const Shape& shape, CheckedHandler run) {
  return [&shape, run](Call& call, const json::object& input) {
    ApiResult result;
    if (auto checked = check_shape(input, shape); !checked) {
      result.error = checked.error();
      return result;
    }
    auto answer = run(call, input);
    if (answer)
      result.body = std::move(*answer);
    else
      result.error = answer.error();
    return result;
  };
}

}  // namespace causeway::control
