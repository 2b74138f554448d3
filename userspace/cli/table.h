#pragma once
// Aligned tables for a terminal.
#include <string>
#include <string_view>
#include <vector>

namespace causeway::cli {

enum class Tone { plain, good, bad, quiet };

struct Cell {
  Cell(std::string t, Tone tone_of = Tone::plain) : text(std::move(t)), tone(tone_of) {}
  Cell(const char* t) : text(t) {}
  std::string text;
  Tone tone = Tone::plain;
};

enum class Align { left, right };

class Table {
 public:
  struct Column {
    std::string title;
    Align align = Align::left;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// As many cells as columns.
  void add(std::vector<Cell> cells);
  bool empty() const { return rows_.empty(); }
  /// Two spaces between columns, none at a line's end; colour by escape sequences.
  std::string render(bool colour) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

std::string paint(std::string_view text, Tone tone, bool colour);

/// Columns that a text takes on a terminal: UTF-8 characters, each as one.
std::size_t display_width(std::string_view text);

/// The text with "?" for control characters and those that turn the direction of writing: names come from API callers
/// and must not move the cursor, or show another order than they have.
std::string printable(std::string_view text);
/// The same, but for line feeds.
std::string printable_lines(std::string_view text);

/// Standard output is a terminal, and neither NO_COLOR nor TERM=dumb says otherwise.
bool wants_colour();

}  // namespace causeway::cli
