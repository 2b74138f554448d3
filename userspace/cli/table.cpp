#include "cli/table.h"

#include <algorithm>
#include <cstdlib>

#include <unistd.h>

namespace causeway::cli {

void Table::add(std::vector<Cell> cells) {
  for (Cell& cell : cells) cell.text = printable(cell.text);
  rows_.push_back(std::move(cells));
}

std::string Table::render(bool colour) const {
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) widths.push_back(display_width(column.title));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i].text));
  }
  std::string out;
  const auto line = [&](auto&& text_of, auto&& paint_of) {
    std::string written;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string text = text_of(i);
      const std::string space(widths[i] - display_width(text), ' ');
      if (i > 0) written += "  ";
      if (columns_[i].align == Align::right) written += space;
      written += paint_of(i, text);
      if (columns_[i].align == Align::left) written += space;
    }
    while (written.ends_with(' ')) written.pop_back();
    out += written + "\n";
  };
  line([&](std::size_t i) { return columns_[i].title; },
       [&](std::size_t, const std::string& text) { return colour ? "\033[1m" + text + "\033[0m" : text; });
  for (const auto& row : rows_) {
    line([&](std::size_t i) { return row[i].text; },
         [&](std::size_t i, const std::string& text) { return paint(text, row[i].tone, colour); });
  }
  return out;
}

std::string paint(std::string_view text, Tone tone, bool colour) {
  if (!colour || tone == Tone::plain) return std::string(text);
  const char* code = tone == Tone::good ? "\033[32m" : tone == Tone::bad ? "\033[31m" : "\033[2m";
  return code + std::string(text) + "\033[0m";
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string printable(std::string_view text) {
  // In UTF-8: the C1 controls, and what turns the direction of writing (U+200E, U+200F, U+202A..E, U+2066..9).
  const auto acts = [](std::string_view rest) {
    const auto at = [&](std::size_t i) { return i < rest.size() ? static_cast<unsigned char>(rest[i]) : 0u; };
    if (at(0) < 0x20 || at(0) == 0x7f) return 1u;
    if (at(0) == 0xc2 && at(1) >= 0x80 && at(1) <= 0x9f) return 2u;
    if (at(0) != 0xe2) return 0u;
    const bool marks = at(1) == 0x80 && (at(2) == 0x8e || at(2) == 0x8f || (at(2) >= 0xaa && at(2) <= 0xae));
    return marks || (at(1) == 0x81 && at(2) >= 0xa6 && at(2) <= 0xa9) ? 3u : 0u;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const unsigned bytes = acts(text.substr(i));
    out += bytes > 0 ? '?' : text[i];
    i += std::max(bytes, 1u);
  }
  return out;
}

std::string printable_lines(std::string_view text) {
  std::string out;
  for (;;) {
    const std::size_t end = text.find('\n');
    out += printable(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    out += '\n';
    text.remove_prefix(end + 1);
  }
}

bool wants_colour() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr && term != nullptr &&
         std::string_view(term) != "dumb";
}

}  // namespace causeway::cli
