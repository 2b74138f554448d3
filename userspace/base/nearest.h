#pragma once
// "Did you mean …?": the nearest of the names that exist.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace causeway {

/// Edits (insert, delete, replace, swap two neighbours) from `a` to `b`; bytes, case ignored.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate with the fewest edits from `name`, if it is near enough to be meant: at most a third of its length
/// (two edits for short names). A candidate that begins with `name`, or the other way round, counts as two edits.
std::optional<std::string> nearest(std::string_view name, const std::vector<std::string>& candidates);

/// Up to `limit` candidates that are near enough, best first.
std::vector<std::string> nearest_few(std::string_view name, const std::vector<std::string>& candidates,
                                     std::size_t limit);

std::string join(const std::vector<std::string>& parts, std::string_view separator);

}  // namespace causeway
