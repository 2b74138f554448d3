#include "observe/exposition.h"

#include <fmt/core.h>

#include <cmath>

namespace causeway::observe {
namespace {

/// Label values escape backslash, double quote and line feed (Prometheus' exposition formats page).
void append_escaped(std::string& out, std::string_view value) {
  for (const char c : value) {
    if (c == '\\') out += "\\\\";
    else if (c == '"') out += "\\\"";
    else if (c == '\n') out += "\\n";
    else out += c;
  }
}

std::string label_text(std::initializer_list<Label> labels) {
  std::string text;
  for (const auto& label : labels) {
    if (!text.empty()) text += ',';
    text += label.name;
    text += "=\"";
    append_escaped(text, label.value);
    text += '"';
  }
  return text;
}

std::string number(double value) {
  if (std::floor(value) == value && std::abs(value) < 9e15) return fmt::format("{:.0f}", value);
  return fmt::format("{:.9g}", value);
}

std::string_view type_word(Kind kind) {
  if (kind == Kind::counter) return "counter";
  return kind == Kind::gauge ? "gauge" : "histogram";
}

}  // namespace

void Exposition::add(Metric metric, std::initializer_list<Label> labels, double value) {
  auto& lines = lines_[static_cast<std::size_t>(metric)];
  const auto text = labels.size() == 0 ? std::string() : fmt::format("{{{}}}", label_text(labels));
  lines += fmt::format("{}{} {}\n", definition(metric).name, text, number(value));
}

void Exposition::add_histogram(Metric metric, std::initializer_list<Label> labels, std::span<const std::uint32_t> bounds_us,
                               std::span<const std::uint64_t> buckets, std::uint64_t sum_us) {
  auto& lines = lines_[static_cast<std::size_t>(metric)];
  const auto name = definition(metric).name;
  const auto text = label_text(labels);
  const std::string_view comma = text.empty() ? "" : ",";
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    total += buckets[i];
    const auto bound = i < bounds_us.size() ? fmt::format("{:g}", bounds_us[i] / 1e6) : std::string("+Inf");
    lines += fmt::format("{}_bucket{{{}{}le=\"{}\"}} {}\n", name, text, comma, bound, total);
  }
  lines += fmt::format("{}_sum{{{}}} {}\n{}_count{{{}}} {}\n", name, text, number(static_cast<double>(sum_us) / 1e6), name, text, total);
}

std::string Exposition::text() const {
  std::string out;
  for (const auto& row : metrics_table()) {
    const auto& lines = lines_[static_cast<std::size_t>(row.metric)];
    if (lines.empty()) continue;
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", row.name, row.help, row.name, type_word(row.kind));
    out += lines;
  }
  return out;
}

}  // namespace causeway::observe
