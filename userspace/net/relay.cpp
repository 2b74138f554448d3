#include "net/relay.h"

#include <boost/asio/error.hpp>

#include "net/join.h"

namespace causeway::net {

using boost::system::error_code;

namespace {
/// What comes without a pause, past this process; nothing where that cannot be.
Task<Splicing::Result> splice_burst(const Pump& p) {
  if (p.pipes == nullptr || p.source.has_urgent()) co_return Splicing::Result{Splicing::End::source_quiet};
  BorrowedPipe pipe(*p.pipes);
  if (!pipe) co_return Splicing::Result{Splicing::End::source_quiet};
  Splicing splicing{p.source, p.sink, UINT64_MAX, p.context, p.moved};
  const Splicing::Result result = co_await splicing.run(pipe);
  co_return result;
}

}  // namespace

Task<error_code> pump(Pump p) {
  std::size_t turn = 0;
  bool stream = false;
  for (;;) {
    while (!p.buffer.empty()) {
      iovec part{const_cast<char*>(p.buffer.view().data()), p.buffer.view().size()};
      const IoResult wrote = p.sink.try_write({&part, 1});
      if (wrote.error == boost::asio::error::would_block) {
        if (const error_code error = co_await p.sink.wait_writable()) co_return error;
        continue;
      }
      if (wrote.error) co_return wrote.error;
      p.buffer.consume(wrote.bytes);
      turn += wrote.bytes;
      p.moved(p.context, wrote.bytes);
    }
    if (stream) {
      const Splicing::Result burst = co_await splice_burst(p);
      if (burst.error) co_return burst.error;
      if (burst.end == Splicing::End::source_ended) break;
      stream = burst.bytes >= kSpliceFrom;  // the next one begins as this one ended
    }
    if (turn >= kTurnBytes) {
      turn = 0;
      co_await p.source.loop().yield();
    }
    if (p.source.drained()) {
      p.buffer.release();
      if (const error_code error = co_await p.source.wait_readable()) co_return error;
    }
    if (stream) continue;
    const auto space = p.buffer.space();
    const IoResult read = p.source.try_read(space);
    if (read.error == boost::asio::error::eof) break;
    if (read.error && read.error != boost::asio::error::would_block) co_return read.error;
    p.buffer.commit(read.bytes);
    stream = read.bytes == space.size();
  }
  p.buffer.release();
  p.sink.shutdown_send();
  co_return error_code{};
}

namespace {

Task<> pump_or_interrupt(Pump p, error_code& first_error) {
  const error_code error = co_await pump(p);
  if (!error) co_return;
  if (!first_error) first_error = error;
  p.source.interrupt(error);
  p.sink.interrupt(error);
}

}  // namespace

Task<error_code> relay(Pump there, Pump back) {
  error_code error;
  auto first = pump_or_interrupt(there, error);
  auto second = pump_or_interrupt(back, error);
  co_await join(std::move(first), std::move(second));
  co_return error;
}

}  // namespace causeway::net
