#include "net/splice.h"

#include <algorithm>

#include <fcntl.h>
#include <unistd.h>

namespace causeway::net {

using boost::system::error_code;

namespace {
/// One pipe's room. The kernel counts segments, not bytes: a TCP segment takes one or more slots of a page each.
constexpr int kPipeBytes = 512 * 1024;
}  // namespace

Pipe PipePool::take() {
  if (in_use_ >= limit_) return {};
  if (!idle_.empty()) {
    Pipe pipe = std::move(idle_.back());
    idle_.pop_back();
    ++in_use_;
    return pipe;
  }
  int ends[2];
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return {};
  ++in_use_;
  // Refused beyond fs.pipe-user-pages-soft: the default room does, too.
  ::fcntl(ends[0], F_SETPIPE_SZ, kPipeBytes);
  return {Fd(ends[0]), Fd(ends[1])};
}

void PipePool::give_back(Pipe pipe, bool empty) {
  --in_use_;
  if (empty && idle_.size() < kKept) idle_.push_back(std::move(pipe));
}

void BorrowedPipe::give_back() {
  if (!*this) return;
  pool_.give_back(std::move(pipe_), filled_ == 0);
  filled_ = 0;
}

/// What lies in the pipe goes to the sink.
Task<error_code> Splicing::empty(BorrowedPipe& pipe, bool more, Result& result) {
  while (pipe.filled_ > 0) {
    const IoResult wrote = sink.try_splice_to(pipe.pipe_.read_end.get(), pipe.filled_, more);
    if (wrote.error == boost::asio::error::would_block) {
      if (const error_code error = co_await sink.wait_writable()) co_return error;
      continue;
    }
    if (wrote.error) co_return wrote.error;
    pipe.filled_ -= wrote.bytes;
    result.bytes += wrote.bytes;
    moved(context, wrote.bytes);
  }
  co_return error_code{};
}

Task<Splicing::Result> Splicing::run(BorrowedPipe& pipe) {
  Result result{End::limit};
  std::uint64_t turn = 0;
  while (result.bytes < limit) {
    const auto wanted = std::min<std::uint64_t>(limit - result.bytes, kPipeBytes);
    const IoResult read = source.try_splice_from(pipe.pipe_.write_end.get(), wanted);
    if (read.error) {
      result.end = read.error == boost::asio::error::would_block ? End::source_quiet
                   : read.error == boost::asio::error::eof       ? End::source_ended
                                                                 : End::source_failed;
      if (result.end == End::source_failed) result.error = read.error;
      co_return result;
    }
    pipe.filled_ = read.bytes;
    // Only where more lies there already: a tail that waits for what is still to be made would come late.
    const bool more = read.bytes == wanted && result.bytes + read.bytes < limit;
    if (const error_code error = co_await empty(pipe, more, result)) {
      result.end = End::sink_failed;
      result.error = error;
      co_return result;
    }
    turn += read.bytes;
    if (turn >= kTurnBytes) {
      turn = 0;
      co_await source.loop().yield();
    }
  }
  co_return result;
}

}  // namespace causeway::net
