#include "observe/log_ring.h"

namespace causeway::observe {

char* LogRing::room(std::size_t bytes) {
  if (used_ + bytes > kBlockBytes) hand_over();
  const std::uint64_t number = handed_.load(std::memory_order_relaxed);
  if (used_ == 0 && number - written_.load(std::memory_order_acquire) == kBlocks) return nullptr;
  Block& block = blocks_[number % kBlocks];
  // Not zeroed: pages that no line reaches never become resident.
  if (block.bytes == nullptr) block.bytes = std::make_unique_for_overwrite<char[]>(kBlockBytes);
  return block.bytes.get() + used_;
}

void LogRing::flush() {
  if (used_ > 0 && all_written()) hand_over();
}

void LogRing::flush_now() {
  if (used_ > 0) hand_over();
}

void LogRing::hand_over() {
  const std::uint64_t number = handed_.load(std::memory_order_relaxed);
  blocks_[number % kBlocks].length = std::exchange(used_, 0);
  handed_.store(number + 1, std::memory_order_release);
  news_ = true;
}

bool LogRing::all_written() const {
  return written_.load(std::memory_order_acquire) == handed_.load(std::memory_order_relaxed);
}

void LogRing::trim() {
  if (used_ > 0 || !all_written()) return;
  for (Block& block : blocks_) block.bytes.reset();
}

std::string_view LogRing::front() const {
  const std::uint64_t number = written_.load(std::memory_order_relaxed);
  if (number == handed_.load(std::memory_order_acquire)) return {};
  const Block& block = blocks_[number % kBlocks];
  return {block.bytes.get(), block.length};
}

void LogRing::pop() {
  written_.store(written_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

}  // namespace causeway::observe
