#pragma once
// Strong integer types where two values could be swapped.
#include <compare>
#include <cstddef>
#include <functional>

namespace causeway {

/// An integer of its own type. `Tag` is any type, often incomplete.
template <class Tag, class T>
struct Strong {
  using value_type = T;
  T value{};

  constexpr Strong() = default;
  constexpr explicit Strong(T v) : value(v) {}
  constexpr auto operator<=>(const Strong&) const = default;
};

}  // namespace causeway

template <class Tag, class T>
struct std::hash<causeway::Strong<Tag, T>> {
  std::size_t operator()(const causeway::Strong<Tag, T>& s) const noexcept { return std::hash<T>{}(s.value); }
};
