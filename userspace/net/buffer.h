#pragma once
// Blocks of memory that connections borrow while bytes pass through, and give back while they are idle.
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace causeway::net {

inline constexpr std::size_t kBlockBytes = 32 * 1024;

/// A worker's free blocks. Not thread-safe. Outlives every Buffer made on it.
class BufferPool {
 public:
  /// Keeps at most `max_free` blocks for reuse; those beyond go back to the heap.
  explicit BufferPool(std::size_t max_free = 64) : max_free_(max_free) {}

  std::unique_ptr<char[]> take();
  void give_back(std::unique_ptr<char[]> block);
  /// Blocks in use now.
  std::size_t in_use() const { return in_use_; }

 private:
  std::size_t max_free_;
  std::size_t in_use_ = 0;
  std::vector<std::unique_ptr<char[]>> free_;
};

/// Bytes read and not yet consumed, contiguous. Holds no memory while it is empty and released.
class Buffer {
 public:
  explicit Buffer(BufferPool& pool) : pool_(&pool) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { release(); }

  std::string_view view() const { return {data_.get() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  void consume(std::size_t bytes);

  /// Room behind the bytes; takes a block if there is none. Bytes are moved to the front (views break) only if nothing
  /// else makes room. Empty when full.
  std::span<char> space();
  void commit(std::size_t bytes) { end_ += bytes; }
  /// Moves the bytes into a larger piece of memory of at least `capacity` bytes. Views break.
  void grow(std::size_t capacity);
  std::size_t capacity() const { return capacity_; }

  /// Gives the memory back; what is unconsumed is gone.
  void release();
  void release_if_empty() {
    if (empty()) release();
  }
  void swap(Buffer& other) noexcept;

 private:
  BufferPool* pool_;
  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace causeway::net
