#pragma once
// What the service discovery operations share: the models' shapes, lookups with their errors, pages, filters.
#include <string>
#include <string_view>

#include "control/call.h"
#include "control/sd_shapes.h"

namespace causeway::control::sd {

// Patterns of botocore's servicediscovery model (2017-03-14), by hand: std::regex recurses on long input.
bool is_visible_ascii(std::string_view text);    ///< [!-~]+
bool is_namespace_name(std::string_view text);   ///< ^(?!arn:)[!-~]+$
bool is_service_name(std::string_view text);     ///< labels of letters, digits, - and _, joined by dots
bool is_dns_name(std::string_view text);         ///< as a service name; a final dot is refused
bool is_instance_id(std::string_view text);      ///< [0-9a-zA-Z_/:.@-]+
bool is_attribute_value(std::string_view text);  ///< visible ASCII, blanks inside

inline constexpr Shape kArn{.min = 1, .max = 255};
inline constexpr Shape kResourceId{.max = 64};
inline constexpr Shape kAnyName{
    .min = 1, .max = 1024, .matches = is_visible_ascii, .form = "visible ASCII without spaces"};
inline constexpr Shape kServiceName{.min = 1,
                                    .max = 127,
                                    .matches = is_service_name,
                                    .form = "labels of 1 to 63 letters, digits, '-' and '_', joined by dots"};
inline constexpr Shape kInstanceId{
    .min = 1, .max = 64, .matches = is_instance_id, .form = "letters, digits and _/:.@-"};
inline constexpr Shape kDescription{.max = 1024};
inline constexpr Shape kNextToken{.max = 4096};
inline constexpr Shape kMaxResults{.kind = Shape::Kind::integer, .min = 1, .max = 100};
inline constexpr Shape kTtl{.kind = Shape::Kind::integer, .min = 0, .max = 2147483647};
inline constexpr Shape kAttributeKey{
    .min = 1, .max = 255, .matches = is_visible_ascii, .form = "visible ASCII without spaces"};
inline constexpr Shape kAttributeValue{
    .max = 1024, .matches = is_attribute_value, .form = "visible ASCII with blanks only inside"};
inline constexpr Shape kAttributes{.kind = Shape::Kind::map, .key = &kAttributeKey, .element = &kAttributeValue};
inline constexpr Shape kTagKey{.min = 1, .max = 128};
inline constexpr Shape kTagValue{.max = 256};
inline constexpr Member kTagMembers[] = {{"Key", &kTagKey, true}, {"Value", &kTagValue, true}};
inline constexpr Shape kTag = structure(kTagMembers);
inline constexpr Shape kTags{.kind = Shape::Kind::list, .max = 200, .element = &kTag};

/// The operation with its input checked first (InvalidInput).
Handler checked(const Shape& shape, Handler handler);

ApiResult invalid_input(std::string message);
ApiResult answer(json::object body);

/// By id or ARN; null where there is none.
const NamespaceRecord* find_namespace(const State& state, std::string_view reference);
const ServiceRecord* find_service(const State& state, std::string_view reference);
/// Null too for one that was deregistered and only drains.
const InstanceRecord* find_instance(const State& state, const std::string& service_id, const std::string& id);
/// Registered and not draining.
std::size_t instance_count(const State& state, const std::string& service_id);
std::size_t service_count(const State& state, const std::string& namespace_id);

ApiResult namespace_not_found(std::string_view reference);
ApiResult service_not_found(std::string_view reference);
ApiResult instance_not_found(const ServiceRecord& service, std::string_view id);

/// The tags of a Create operation. An error message, or "".
std::string read_tags(const json::object& input, Tags& tags);

/// One page of a sorted sequence: everything after a key, at most so many.
struct Page {
  std::string after;
  std::size_t limit = 100;
};
/// NextToken and MaxResults; false where the token is none that next_token() made.
bool read_page(const json::object& input, Page& page);
std::string next_token(std::string_view last_key);

/// Adds to body[list] one page of `records` (a map) that `wanted` accepts, and NextToken where more follow.
template <class Records, class Wanted, class Render>
ApiResult answer_page(const json::object& input, const char* list, const Records& records, Wanted wanted,
                      Render render) {
  Page page;
  if (!read_page(input, page)) return invalid_input("NextToken is not one that this operation answered");
  json::object body;
  auto& items = body[list].emplace_array();
  const std::string* last = nullptr;
  for (auto at = records.upper_bound(page.after); at != records.end(); ++at) {
    if (!wanted(at->second)) continue;
    if (items.size() == page.limit) {
      body["NextToken"] = next_token(*last);
      break;
    }
    items.push_back(render(at->second));
    last = &at->first;
  }
  return answer(std::move(body));
}

/// What a filter may compare and how.
struct FilterField {
  std::string_view name;
  bool in = false;           ///< Condition IN
  bool begins_with = false;  ///< Condition BEGINS_WITH
  bool between = false;      ///< Condition BETWEEN (and only that)
};
extern const Shape kFilters;
/// "" where Filters fit the fields, otherwise what is wrong.
std::string misfit_filters(const json::object& input, std::initializer_list<FilterField> fields);
/// Whether all filters hold; `value_of` gives a record's value of a filter's name.
bool passes_filters(const json::object& input, const std::function<std::string(std::string_view)>& value_of);

void add_namespace_operations(Operations& operations);
void add_service_operations(Operations& operations);
void add_instance_operations(Operations& operations);
void add_discover_operations(Operations& operations);
void add_health_operations(Operations& operations);
void add_tag_operations(Operations& operations);
void add_attribute_operations(Operations& operations);

}  // namespace causeway::control::sd
