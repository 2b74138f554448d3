#pragma once
// Prometheus' text format, version 0.0.4: samples in, text out.
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "observe/metrics_table.h"

namespace causeway::observe {

inline constexpr std::string_view kExpositionType = "text/plain; version=0.0.4; charset=utf-8";

struct Label {
  std::string_view name;
  std::string_view value;  ///< any bytes; escaped
};

/// Not thread-safe.
class Exposition {
 public:
  void add(Metric metric, std::initializer_list<Label> labels, double value);
  /// `buckets` are counts of their own (not cumulative), one more than `bounds_us`.
  void add_histogram(Metric metric, std::initializer_list<Label> labels, std::span<const std::uint32_t> bounds_us,
                     std::span<const std::uint64_t> buckets, std::uint64_t sum_us);
  /// Every metric that has a sample, with HELP and TYPE, in the table's order.
  std::string text() const;

 private:
  std::array<std::string, static_cast<std::size_t>(Metric::count)> lines_;
};

}  // namespace causeway::observe
