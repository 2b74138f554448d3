#pragma once
// A vector that copies have in common: copying it, and telling that a copy is unchanged, cost nothing.
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

namespace causeway {

/// Immutable but for assignment and change(), so that copies may be read by other threads meanwhile.
template <class T>
class SharedVector {
 public:
  using value_type = T;
  using const_iterator = typename std::vector<T>::const_iterator;
  using iterator = const_iterator;

  SharedVector() = default;
  SharedVector(std::vector<T> all) : all_(std::make_shared<const std::vector<T>>(std::move(all))) {}
  SharedVector(std::initializer_list<T> all) : SharedVector(std::vector<T>(all)) {}

  const std::vector<T>& get() const {
    static const std::vector<T> none;
    return all_ ? *all_ : none;
  }
  const_iterator begin() const { return get().begin(); }
  const_iterator end() const { return get().end(); }
  std::size_t size() const { return get().size(); }
  bool empty() const { return get().empty(); }
  const T& front() const { return get().front(); }
  const T& operator[](std::size_t i) const { return get()[i]; }

  /// `change` gets a copy of all of it, which then takes its place.
  template <class Change>
  void change(Change change) {
    std::vector<T> all = get();
    change(all);
    *this = SharedVector(std::move(all));
  }

  /// Whether both are copies of one.
  bool same_as(const SharedVector& other) const { return all_ == other.all_; }
  friend bool operator==(const SharedVector& a, const SharedVector& b) { return a.same_as(b) || a.get() == b.get(); }

 private:
  std::shared_ptr<const std::vector<T>> all_;
};

}  // namespace causeway
