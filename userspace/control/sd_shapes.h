#pragma once
// Inputs checked against small tables, as the AWS models describe them: types, lengths, ranges, enumerations, patterns.
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

namespace causeway::control::sd {

namespace json = boost::json;

struct Member;

/// What a value must be. Lengths of text in characters, of lists and maps in elements.
struct Shape {
  enum class Kind { text, integer, structure, list, map };
  Kind kind = Kind::text;
  std::int64_t min = 0;
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
  bool (*matches)(std::string_view) = nullptr;    ///< text: its pattern,
  const char* form = nullptr;                     ///< told to a person
  std::span<const std::string_view> values = {};  ///< text: an enumeration
  const Member* members = nullptr;                ///< structure
  std::size_t member_count = 0;
  const Shape* key = nullptr;      ///< map
  const Shape* element = nullptr;  ///< list, map
};

struct Member {
  const char* name;
  const Shape* shape;
  bool required = false;
};

/// A structure's shape of a table of members.
template <std::size_t N>
constexpr Shape structure(const Member (&members)[N]) {
  Shape shape{Shape::Kind::structure};
  shape.members = members;
  shape.member_count = N;
  return shape;
}

/// "" where `input` fits, otherwise the member, what it must be and what it is. Unknown members are ignored; null is
/// absent.
std::string misfit(const json::value& input, const Shape& shape, const std::string& path = {});

// Readers of members that misfit() has passed.
std::string text(const json::object& input, const char* name);
std::int64_t integer(const json::object& input, const char* name, std::int64_t otherwise);
/// Null where it is absent.
const json::object* object(const json::object& input, const char* name);
const json::array* array(const json::object& input, const char* name);
std::map<std::string, std::string> text_map(const json::object& input, const char* name);

}  // namespace causeway::control::sd
