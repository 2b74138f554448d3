#pragma once
// The program's log: one line an event, to standard error, with time and level. Thread-safe.
#include <fmt/core.h>

#include <optional>
#include <string_view>
#include <utility>

namespace causeway::log {

enum class Level { debug, info, warn, error };

/// "debug", "info", "warn" or "error".
std::string_view name_of(Level level);
std::optional<Level> level_of(std::string_view name);
/// Lines below `level` are dropped. The default is info.
void set_level(Level level);
/// Put before every line: the process's name.
void set_name(std::string_view name);
bool enabled(Level level);
void line(Level level, std::string_view text);

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) line(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  line(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  line(Level::warn, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  line(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace causeway::log
