#include <algorithm>
#include <cstdlib>

#include <fmt/core.h>

#include "control/sd_common.h"

namespace causeway::control::sd {
namespace {

constexpr std::string_view kConditionValues[] = {"EQ", "IN", "BETWEEN", "BEGINS_WITH"};
constexpr Shape kCondition{.values = kConditionValues};
constexpr Shape kFilterName{.min = 1, .max = 64};
constexpr Shape kFilterValue{.min = 1, .max = 255};
constexpr Shape kFilterValues{.kind = Shape::Kind::list, .min = 1, .max = 100, .element = &kFilterValue};
constexpr Member kFilterMembers[] = {
    {"Name", &kFilterName, true}, {"Values", &kFilterValues, true}, {"Condition", &kCondition}};
constexpr Shape kFilter = structure(kFilterMembers);

std::string condition_of(const json::object& filter) {
  const auto condition = text(filter, "Condition");
  return condition.empty() ? "EQ" : condition;
}

bool allows(const FilterField& field, std::string_view condition) {
  if (field.between) return condition == "BETWEEN";
  return condition == "EQ" || (condition == "IN" && field.in) || (condition == "BEGINS_WITH" && field.begins_with);
}

bool is_number(const json::value& value) {
  const std::string copy(value.get_string());
  char* end = nullptr;
  std::strtod(copy.c_str(), &end);
  return end != copy.c_str() && *end == '\0';
}

double to_number(const json::value& value) {
  return std::strtod(std::string(value.get_string()).c_str(), nullptr);
}

std::string misfit_filter(const json::object& filter, std::initializer_list<FilterField> fields) {
  const auto name = text(filter, "Name");
  const auto field = std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.name == name; });
  if (field == fields.end()) {
    std::string names;
    for (const auto& known : fields) names += (names.empty() ? "" : ", ") + std::string(known.name);
    return fmt::format("Filters: Name must be one of {}, got \"{}\"", names, name);
  }
  const auto condition = condition_of(filter);
  if (!allows(*field, condition)) return fmt::format("Filters: Condition {} does not go with Name {}", condition, name);
  const auto& values = *array(filter, "Values");
  if ((condition == "EQ" || condition == "BEGINS_WITH") && values.size() != 1) {
    return fmt::format("Filters: Condition {} takes one value, got {}", condition, values.size());
  }
  if (condition != "BETWEEN") return {};
  if (values.size() == 2 && is_number(values[0]) && is_number(values[1])) return {};
  return "Filters: Condition BETWEEN takes two times in seconds since the epoch";
}

bool passes(const json::object& filter, const std::string& value) {
  const auto condition = condition_of(filter);
  const auto& values = *array(filter, "Values");
  if (condition == "BETWEEN") {
    const double at = std::strtod(value.c_str(), nullptr);
    return at >= to_number(values[0]) && at <= to_number(values[1]);
  }
  if (condition == "BEGINS_WITH") return std::string_view(value).starts_with(std::string_view(values[0].get_string()));
  return std::any_of(values.begin(), values.end(), [&](const auto& v) { return v.get_string() == value; });
}

}  // namespace

constexpr Shape kFiltersShape{.kind = Shape::Kind::list, .max = 20, .element = &kFilter};
const Shape kFilters = kFiltersShape;

std::string misfit_filters(const json::object& input, std::initializer_list<FilterField> fields) {
  const auto* filters = array(input, "Filters");
  if (filters == nullptr) return {};
  for (const auto& filter : *filters) {
    if (auto wrong = misfit_filter(filter.get_object(), fields); !wrong.empty()) return wrong;
  }
  return {};
}

bool passes_filters(const json::object& input, const std::function<std::string(std::string_view)>& value_of) {
  const auto* filters = array(input, "Filters");
  if (filters == nullptr) return true;
  return std::all_of(filters->begin(), filters->end(), [&](const json::value& filter) {
    return passes(filter.get_object(), value_of(text(filter.get_object(), "Name")));
  });
}

}  // namespace causeway::control::sd
