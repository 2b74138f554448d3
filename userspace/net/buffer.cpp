#include "net/buffer.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace causeway::net {

std::unique_ptr<char[]> BufferPool::take() {
  ++in_use_;
  if (free_.empty()) return std::make_unique_for_overwrite<char[]>(kBlockBytes);
  auto block = std::move(free_.back());
  free_.pop_back();
  return block;
}

void BufferPool::give_back(std::unique_ptr<char[]> block) {
  --in_use_;
  if (free_.size() < max_free_) free_.push_back(std::move(block));
}

void Buffer::consume(std::size_t bytes) {
  assert(bytes <= end_ - begin_);
  begin_ += bytes;
  if (begin_ == end_) begin_ = end_ = 0;
}

std::span<char> Buffer::space() {
  if (data_ == nullptr) {
    data_ = pool_->take();
    capacity_ = kBlockBytes;
  }
  if (end_ == capacity_ && begin_ > 0) {
    std::memmove(data_.get(), data_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return {data_.get() + end_, capacity_ - end_};
}

void Buffer::grow(std::size_t capacity) {
  if (capacity <= capacity_) return;
  auto larger = std::make_unique_for_overwrite<char[]>(capacity);
  const std::size_t size = end_ - begin_;
  if (size > 0) std::memcpy(larger.get(), data_.get() + begin_, size);
  release();
  data_ = std::move(larger);
  capacity_ = capacity;
  end_ = size;
}

void Buffer::release() {
  if (data_ != nullptr && capacity_ == kBlockBytes) pool_->give_back(std::move(data_));
  data_.reset();
  capacity_ = begin_ = end_ = 0;
}

void Buffer::swap(Buffer& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(data_, other.data_);
  std::swap(capacity_, other.capacity_);
  std::swap(begin_, other.begin_);
  std::swap(end_, other.end_);
}

}  // namespace causeway::net
