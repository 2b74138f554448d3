#pragma once
// An ordered map in pieces that copies have in common: a copy, a change and the difference of two copies cost in
// proportion to the pieces (a sixty-fourth of the entries) and to what changed, not to the entries.
#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace causeway {

/// As std::map where it has the same members. Entries are immutable: set() replaces one, in a new piece, so that copies
/// may be read by other threads meanwhile.
template <class Key, class Value>
class SharedMap {
 public:
  using value_type = std::pair<Key, Value>;

 private:
  using Piece = std::vector<value_type>;
  using PiecePtr = std::shared_ptr<const Piece>;
  using Pieces = std::vector<PiecePtr>;
  static constexpr std::size_t kPiece = 64;  ///< entries, at which a piece is split

 public:
  class const_iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = SharedMap::value_type;
    using difference_type = std::ptrdiff_t;
    using pointer = const value_type*;
    using reference = const value_type&;

    const_iterator() = default;
    const_iterator(const Pieces* pieces, std::size_t piece, std::size_t place)
        : pieces_(pieces), piece_(piece), place_(place) {}
    reference operator*() const { return (*(*pieces_)[piece_])[place_]; }
    pointer operator->() const { return &**this; }
    const_iterator& operator++() {
      if (++place_ == (*pieces_)[piece_]->size()) next_piece();
      return *this;
    }
    const_iterator operator++(int) {
      const auto before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const const_iterator& a, const const_iterator& b) {
      return a.piece_ == b.piece_ && a.place_ == b.place_;
    }

   private:
    friend class SharedMap;
    /// At the beginning of one, else null.
    const Piece* whole_piece() const {
      return place_ == 0 && piece_ < pieces_->size() ? (*pieces_)[piece_].get() : nullptr;
    }
    void next_piece() {
      ++piece_;
      place_ = 0;
    }

    const Pieces* pieces_ = nullptr;
    std::size_t piece_ = 0, place_ = 0;
  };
  using iterator = const_iterator;

  SharedMap() = default;
  /// `entries`: ordered by key, each key once.
  explicit SharedMap(std::vector<value_type> entries) : size_(entries.size()) {
    for (std::size_t at = 0; at < entries.size(); at += kPiece / 2) {
      const auto from = entries.begin() + static_cast<std::ptrdiff_t>(at);
      const auto to = from + static_cast<std::ptrdiff_t>(std::min(kPiece / 2, entries.size() - at));
      pieces_.push_back(std::make_shared<const Piece>(std::make_move_iterator(from), std::make_move_iterator(to)));
    }
  }

  const_iterator begin() const { return {&pieces_, 0, 0}; }
  const_iterator end() const { return {&pieces_, pieces_.size(), 0}; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  const_iterator find(const Key& key) const {
    const std::size_t piece = piece_of(key);
    if (piece == pieces_.size()) return end();
    const auto place = place_of(*pieces_[piece], key);
    return key < place->first ? end() : const_iterator(&pieces_, piece, index(*pieces_[piece], place));
  }
  bool contains(const Key& key) const { return find(key) != end(); }
  const Value& at(const Key& key) const {
    const auto found = find(key);
    if (found == end()) throw std::out_of_range("SharedMap::at");
    return found->second;
  }

  void set(const Key& key, Value value) {
    if (pieces_.empty()) pieces_.push_back(std::make_shared<const Piece>());
    const std::size_t piece = std::min(piece_of(key), pieces_.size() - 1);
    Piece fresh;
    fresh.reserve(pieces_[piece]->size() + 1);
    fresh = *pieces_[piece];
    const auto place = std::lower_bound(fresh.begin(), fresh.end(), key, Before{});
    if (place != fresh.end() && !(key < place->first)) {
      place->second = std::move(value);
    } else {
      fresh.insert(place, {key, std::move(value)});
      ++size_;
    }
    replace(piece, std::move(fresh));
  }
  std::size_t erase(const Key& key) {
    const auto found = find(key);
    if (found == end()) return 0;
    Piece fresh = *pieces_[found.piece_];
    fresh.erase(fresh.begin() + static_cast<std::ptrdiff_t>(found.place_));
    --size_;
    replace(found.piece_, std::move(fresh));
    return 1;
  }
  void clear() { *this = SharedMap(); }

  /// `map[key] = value`.
  class Place {
   public:
    Place(SharedMap& map, const Key& key) : map_(map), key_(key) {}
    // By reference: what the value is moved from may be what the key is read from.
    void operator=(const Value& value) && { map_.set(key_, value); }
    void operator=(Value&& value) && { map_.set(key_, std::move(value)); }

   private:
    SharedMap& map_;
    Key key_;
  };
  Place operator[](const Key& key) { return {*this, key}; }

  friend bool operator==(const SharedMap& a, const SharedMap& b) {
    if (a.pieces_ == b.pieces_) return true;
    return a.size_ == b.size_ && std::equal(a.begin(), a.end(), b.begin());
  }

  /// Calls `differs(key, was, is)` for each key whose values differ, in order; null: one of them has no such key.
  template <class Differs>
  friend void for_each_difference(const SharedMap& before, const SharedMap& after, Differs differs) {
    visit_differences(before, after, differs);
  }

 private:
  template <class Differs>
  static void visit_differences(const SharedMap& before, const SharedMap& after, Differs& differs) {
    auto was = before.begin();
    auto is = after.begin();
    while (was != before.end() || is != after.end()) {
      const Piece* piece = is.whole_piece();
      if (piece != nullptr && piece == was.whole_piece()) {
        was.next_piece();
        is.next_piece();
      } else if (is == after.end() || (was != before.end() && was->first < is->first)) {
        differs(was->first, &was->second, static_cast<const Value*>(nullptr));
        ++was;
      } else if (was == before.end() || is->first < was->first) {
        differs(is->first, static_cast<const Value*>(nullptr), &is->second);
        ++is;
      } else {
        if (!(was->second == is->second)) differs(is->first, &was->second, &is->second);
        ++was;
        ++is;
      }
    }
  }

  struct Before {
    bool operator()(const value_type& entry, const Key& key) const { return entry.first < key; }
  };

  /// The one that has the key, if any has; pieces_.size(): it lies behind all.
  std::size_t piece_of(const Key& key) const {
    const auto found = std::lower_bound(pieces_.begin(), pieces_.end(), key, [](const PiecePtr& piece, const Key& k) {
      return piece->empty() || piece->back().first < k;
    });
    return static_cast<std::size_t>(found - pieces_.begin());
  }
  static auto place_of(const Piece& piece, const Key& key) {
    return std::lower_bound(piece.begin(), piece.end(), key, Before{});
  }
  static std::size_t index(const Piece& piece, typename Piece::const_iterator place) {
    return static_cast<std::size_t>(place - piece.begin());
  }

  void replace(std::size_t at, Piece fresh) {
    const auto place = pieces_.begin() + static_cast<std::ptrdiff_t>(at);
    if (fresh.empty()) {
      pieces_.erase(place);
    } else if (fresh.size() < kPiece) {
      *place = std::make_shared<const Piece>(std::move(fresh));
    } else {
      const auto middle = fresh.begin() + static_cast<std::ptrdiff_t>(fresh.size() / 2);
      auto first =
          std::make_shared<const Piece>(std::make_move_iterator(fresh.begin()), std::make_move_iterator(middle));
      *place = std::make_shared<const Piece>(std::make_move_iterator(middle), std::make_move_iterator(fresh.end()));
      pieces_.insert(place, std::move(first));
    }
  }

  Pieces pieces_;  ///< none is empty
  std::size_t size_ = 0;
};

}  // namespace causeway
