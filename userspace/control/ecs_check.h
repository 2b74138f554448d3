#pragma once
// Reads the input of an ECS operation: its shape is checked once against a table, then members are read without checks.
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/system/result.hpp>

#include "control/call.h"

namespace causeway::control {

/// A value, or what the API answers instead.
template <class T = void>
using Checked = boost::system::result<T, ApiError>;

ApiError refusal(std::string type, std::string message);
ApiError invalid_parameter(std::string message);    ///< InvalidParameterException
ApiError client_exception(std::string message);     ///< ClientException
ApiError unsupported_feature(std::string message);  ///< UnsupportedFeatureException

struct Member;
using Shape = std::vector<Member>;

enum class Kind { text, integer, boolean, object, texts, objects, any_list, any_object };

/// One member of a structure. Limits: characters of a text, value of an integer, entries of a list.
struct Member {
  std::string_view name;
  Kind kind;
  std::int64_t min = 0;
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
  const Shape* shape = nullptr;   ///< of an object or of a list's objects
  std::string_view choices = {};  ///< "tcp|udp"; any text where empty
  bool needed = false;

  Member required() const;
  Member one_of(std::string_view words) const;
};

Member text(std::string_view name, std::int64_t max_length = 2048);
Member integer(std::string_view name, std::int64_t min, std::int64_t max);
Member boolean(std::string_view name);
Member object(std::string_view name, const Shape& shape);
Member objects(std::string_view name, const Shape& shape, std::int64_t max_entries = 1000);
Member texts(std::string_view name, std::int64_t max_entries = 1000);
/// Kept as given; only the kind is checked.
Member any_list(std::string_view name);
Member any_object(std::string_view name);

/// Members that the shape does not know are ignored, as AWS does; a null counts as absent.
Checked<> check_shape(const json::object& input, const Shape& shape, const std::string& path = {});

// For checked input. An absent member reads as "", the given default, or empty.
bool has(const json::object& input, std::string_view name);
std::string text_of(const json::object& input, std::string_view name);
std::int64_t integer_of(const json::object& input, std::string_view name, std::int64_t otherwise = 0);
bool flag_of(const json::object& input, std::string_view name, bool otherwise = false);
const json::array& list_of(const json::object& input, std::string_view name);
const json::object& object_of(const json::object& input, std::string_view name);
std::vector<std::string> texts_of(const json::object& input, std::string_view name);

/// One page of `all` into body[member] with nextToken where more follow; `input` holds nextToken and maxResults
/// (1 to `most`). The token is the last entry of the page before.
Checked<json::object> page(const json::object& input, std::string_view member, const std::vector<std::string>& all,
                           std::int64_t most = 100);

using CheckedHandler = Checked<json::object> (*)(Call&, const json::object&);
/// A Handler that checks the input's shape first.
Handler handler(const Shape& shape, CheckedHandler run);

}  // namespace causeway::control
