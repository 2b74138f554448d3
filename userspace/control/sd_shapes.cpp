#include "control/sd_shapes.h"

#include <algorithm>

#include <boost/json/serialize.hpp>
#include <fmt/core.h>
#include <fmt/ranges.h>

namespace causeway::control::sd {
namespace {

constexpr std::size_t kShown = 80;  // of a wrong value, in the message

std::string shown(const json::value& value) {
  auto out = json::serialize(value);
  if (out.size() > kShown) {
    out.resize(kShown);
    // Not in the middle of a UTF-8 sequence.
    while (!out.empty() && (out.back() & 0xc0) == 0x80) out.pop_back();
    if (!out.empty() && (out.back() & 0x80) != 0) out.pop_back();
    out += "...";
  }
  return out;
}

std::string of_type(const std::string& path, const char* type, const json::value& value) {
  return fmt::format("{} must be {}, got {}", path.empty() ? "The input" : path, type, shown(value));
}

std::int64_t characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

std::string range_text(const Shape& shape, const char* unit) {
  if (shape.max == std::numeric_limits<std::int64_t>::max()) return fmt::format("at least {} {}", shape.min, unit);
  return fmt::format("{} to {} {}", shape.min, shape.max, unit);
}

std::string misfit_text(const json::value& value, const Shape& shape, const std::string& path) {
  const auto* string = value.if_string();
  if (string == nullptr) return of_type(path, "a string", value);
  const std::string_view content(string->data(), string->size());
  if (!shape.values.empty()) {
    if (std::find(shape.values.begin(), shape.values.end(), content) != shape.values.end()) return {};
    return fmt::format("{} must be one of {}, got {}", path, fmt::join(shape.values, ", "), shown(value));
  }
  const auto length = characters(content);
  if (length < shape.min || length > shape.max) {
    return fmt::format("{} must have {}, has {}", path, range_text(shape, "characters"), length);
  }
  if (shape.matches != nullptr && !shape.matches(content)) {
    return fmt::format("{} must be {}, got {}", path, shape.form, shown(value));
  }
  return {};
}

std::string misfit_integer(const json::value& value, const Shape& shape, const std::string& path) {
  if (!value.is_int64() && !value.is_uint64()) return of_type(path, "an integer", value);
  const auto number = value.is_int64() ? value.get_int64() : std::numeric_limits<std::int64_t>::max();
  if (number >= shape.min && number <= shape.max && value.is_int64()) return {};
  return fmt::format("{} must be an integer from {} to {}, got {}", path, shape.min, shape.max, shown(value));
}

std::string misfit_count(std::size_t count, const Shape& shape, const std::string& path) {
  const auto n = static_cast<std::int64_t>(count);
  if (n >= shape.min && n <= shape.max) return {};
  return fmt::format("{} must have {}, has {}", path, range_text(shape, "elements"), n);
}

std::string misfit_structure(const json::value& value, const Shape& shape, const std::string& path) {
  const auto* object = value.if_object();
  if (object == nullptr) return of_type(path, "an object", value);
  for (const auto& member : std::span(shape.members, shape.member_count)) {
    const auto inner = path.empty() ? std::string(member.name) : path + "." + member.name;
    const auto* found = object->if_contains(member.name);
    if (found == nullptr || found->is_null()) {
      if (member.required) return fmt::format("{} is required and missing", inner);
      continue;
    }
    if (auto wrong = misfit(*found, *member.shape, inner); !wrong.empty()) return wrong;
  }
  return {};
}

std::string misfit_list(const json::value& value, const Shape& shape, const std::string& path) {
  const auto* list = value.if_array();
  if (list == nullptr) return of_type(path, "a list", value);
  if (auto wrong = misfit_count(list->size(), shape, path); !wrong.empty()) return wrong;
  for (std::size_t i = 0; i < list->size(); ++i) {
    if (auto wrong = misfit((*list)[i], *shape.element, fmt::format("{}[{}]", path, i)); !wrong.empty()) return wrong;
  }
  return {};
}

std::string misfit_map(const json::value& value, const Shape& shape, const std::string& path) {
  const auto* map = value.if_object();
  if (map == nullptr) return of_type(path, "a map", value);
  if (auto wrong = misfit_count(map->size(), shape, path); !wrong.empty()) return wrong;
  for (const auto& [key, element] : *map) {
    if (auto wrong = misfit(json::value(key), *shape.key, path + " key"); !wrong.empty()) return wrong;
    const auto inner = fmt::format("{}[\"{}\"]", path, std::string_view(key.data(), key.size()));
    if (auto wrong = misfit(element, *shape.element, inner); !wrong.empty()) return wrong;
  }
  return {};
}

}  // namespace

std::string misfit(const json::value& input, const Shape& shape, const std::string& path) {
  switch (shape.kind) {
    case Shape::Kind::text:
      return misfit_text(input, shape, path);
    case Shape::Kind::integer:
      return misfit_integer(input, shape, path);
    case Shape::Kind::structure:
      return misfit_structure(input, shape, path);
    case Shape::Kind::list:
      return misfit_list(input, shape, path);
    case Shape::Kind::map:
      return misfit_map(input, shape, path);
  }
  return {};
}

std::string text(const json::object& input, const char* name) {
  const auto* value = input.if_contains(name);
  const auto* string = value == nullptr ? nullptr : value->if_string();
  return string == nullptr ? std::string() : std::string(string->data(), string->size());
}

std::int64_t integer(const json::object& input, const char* name, std::int64_t otherwise) {
  const auto* value = input.if_contains(name);
  const auto* number = value == nullptr ? nullptr : value->if_int64();
  return number == nullptr ? otherwise : *number;
}

const json::object* object(const json::object& input, const char* name) {
  const auto* value = input.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

const json::array* array(const json::object& input, const char* name) {
  const auto* value = input.if_contains(name);
  return value == nullptr ? nullptr : value->if_array();
}

std::map<std::string, std::string> text_map(const json::object& input, const char* name) {
  std::map<std::string, std::string> out;
  const auto* map = object(input, name);
  if (map == nullptr) return out;
  for (const auto& [key, value] : *map) {
    if (const auto* string = value.if_string())
      out.emplace(std::string(key), std::string(string->data(), string->size()));
  }
  return out;
}

}  // namespace causeway::control::sd
