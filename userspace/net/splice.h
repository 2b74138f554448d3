#pragma once
// Bytes from one connection to another through a pipe (splice(2), Linux 2.6.17): they are not copied into this process.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "net/connection.h"

namespace causeway::net {

/// From this many bytes on, a pipe's system calls cost less than copying: measured with tools/compare.
inline constexpr std::size_t kSpliceFrom = 64 * 1024;

struct Pipe {
  Fd read_end;
  Fd write_end;
};

/// A worker's pipes. Not thread-safe. Outlives every BorrowedPipe made on it.
class PipePool {
 public:
  /// At most `limit` pipes (two descriptors each) exist at a time, of which at most kKept idle ones are kept.
  explicit PipePool(std::size_t limit = 64) : limit_(limit) {}
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;

  std::size_t in_use() const { return in_use_; }

 private:
  friend class BorrowedPipe;
  static constexpr std::size_t kKept = 8;
  /// An empty pipe with room for `bytes`, if the kernel grants that much; without ends if none is to be had.
  Pipe take();
  void give_back(Pipe pipe, bool empty);

  std::size_t limit_;
  std::size_t in_use_ = 0;
  std::vector<Pipe> idle_;
};

class BorrowedPipe {
 public:
  explicit BorrowedPipe(PipePool& pool) : pool_(pool), pipe_(pool.take()) {}
  BorrowedPipe(const BorrowedPipe&) = delete;
  BorrowedPipe& operator=(const BorrowedPipe&) = delete;
  ~BorrowedPipe() { give_back(); }

  /// False: none is to be had (limit, descriptors); bytes have to be copied.
  explicit operator bool() const { return static_cast<bool>(pipe_.read_end); }
  void give_back();

 private:
  friend struct Splicing;
  PipePool& pool_;
  Pipe pipe_;
  std::size_t filled_ = 0;
};

struct Splicing {
  Connection& source;
  Connection& sink;
  std::uint64_t limit;  ///< bytes, at most
  void* context;
  void (*moved)(void* context, std::size_t bytes);  ///< after each write

  enum class End : std::uint8_t {
    limit,         ///< all of them passed
    source_quiet,  ///< nothing is there now; the pipe is empty
    source_ended,
    source_failed,
    sink_failed,
  };
  struct Result {
    End end;
    std::uint64_t bytes = 0;                ///< written to the sink
    boost::system::error_code error{};      ///< of the last two ends
  };
  /// Until one of the ends. The pipe is empty then, except after an error.
  Task<Result> run(BorrowedPipe& pipe);

 private:
  Task<boost::system::error_code> empty(BorrowedPipe& pipe, bool more, Result& result);
};

}  // namespace causeway::net
