#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>

namespace causeway::log {
namespace {

constexpr std::array<std::string_view, 4> kNames{"debug", "info", "warn", "error"};

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("causeway", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum translate(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warn: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

std::string_view name_of(Level level) { return kNames[static_cast<std::size_t>(level)]; }

std::optional<Level> level_of(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Level>(found - kNames.begin());
}

void set_level(Level level) { logger().set_level(translate(level)); }

void set_name(std::string_view name) {
  logger().set_pattern("%Y-%m-%dT%H:%M:%S.%e%z " + std::string(name) + " %l %v");
}

bool enabled(Level level) { return logger().should_log(translate(level)); }

void line(Level level, std::string_view text) {
  logger().log(translate(level), spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace causeway::log
