#pragma once
// Blocks of whole lines on their way from one worker to the log's writer: one thread fills them, one takes them out.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

namespace causeway::observe {

class LogRing {
 public:
  static constexpr std::size_t kBlockBytes = 1u << 20;
  static constexpr std::size_t kBlocks = 4;

  // The worker's side.

  /// Where `bytes` (at most kBlockBytes) may be written; nullptr while the writer has all blocks. A full block is
  /// handed over on the way: see handed_over().
  char* room(std::size_t bytes);
  /// So many bytes of that room hold whole lines.
  void commit(std::size_t bytes) { used_ += bytes; }
  /// Hands the begun block over, if the writer has none: while it has, it is waited for, so that a slow writer finds
  /// full blocks and not many small ones.
  void flush();
  /// The same, whatever the writer has.
  void flush_now();
  /// True once after a block was handed over: the writer is to be woken.
  bool handed_over() { return std::exchange(news_, false); }
  /// Gives the memory back, if neither side holds a line.
  void trim();

  // The writer's side.

  /// The oldest block handed over; empty if there is none.
  std::string_view front() const;
  /// Done with it.
  void pop();

 private:
  struct Block {
    std::unique_ptr<char[]> bytes;
    std::size_t length = 0;
  };

  void hand_over();
  bool all_written() const;

  std::array<Block, kBlocks> blocks_;  ///< number n is blocks_[n % kBlocks]
  std::size_t used_ = 0;               ///< of the block in hand, number handed_
  bool news_ = false;
  alignas(64) std::atomic<std::uint64_t> handed_{0};   ///< blocks handed over so far; the worker writes it
  alignas(64) std::atomic<std::uint64_t> written_{0};  ///< blocks given back so far; the writer writes it
};

}  // namespace causeway::observe
