#pragma once
// One TCP connection of a worker: reads and writes are tried at once and wait only when they must.
#include <coroutine>
#include <cstddef>
#include <span>

#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>
#include <sys/uio.h>

#include "base/fd.h"
#include "net/event_loop.h"
#include "net/task.h"

namespace causeway::net {

struct IoResult {
  std::size_t bytes = 0;
  boost::system::error_code error;  ///< asio::error::eof: the peer shut down its sending half
};

/// Bytes that one connection moves without waiting before its worker's others get their turn.
inline constexpr std::size_t kTurnBytes = 1u << 20;

/// Not thread-safe; at most one read and one write wait at a time.
class Connection final : private Watch {
 public:
  enum class State : std::uint8_t { connected, connecting };
  /// Takes over a non-blocking socket. The loop outlives it.
  Connection(EventLoop& loop, Fd socket, State state = State::connected);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();  // closes; nothing may wait

  int fd() const { return socket_.get(); }
  EventLoop& loop() const { return loop_; }
  bool is_open() const { return static_cast<bool>(socket_); }

  /// co_await gives an error_code: of an interrupt, else none.
  class Wait {
   public:
    Wait(Connection& connection, bool Connection::*may_go_on, std::coroutine_handle<> Connection::*waiting)
        : connection_(connection), may_go_on_(may_go_on), waiting_(waiting) {}
    bool await_ready() const noexcept { return connection_.interrupted_ || connection_.*may_go_on_; }
    void await_suspend(std::coroutine_handle<> coroutine) noexcept { connection_.*waiting_ = coroutine; }
    boost::system::error_code await_resume() const noexcept { return connection_.interrupted_; }

   private:
    Connection& connection_;
    bool Connection::*may_go_on_;
    std::coroutine_handle<> Connection::*waiting_;
  };
  /// Until a read may find something (data, end or error). Returns at once, and may be wrong, while !drained().
  Wait wait_readable() { return {*this, &Connection::maybe_readable_, &Connection::reader_}; }
  /// After a write that did not take everything.
  Wait wait_writable() { return {*this, &Connection::maybe_writable_, &Connection::writer_}; }

  /// Without waiting: error asio::error::would_block if nothing is there.
  IoResult try_read(std::span<char> into);
  /// What is there, at least a byte.
  Task<IoResult> read_some(std::span<char> into);
  /// Without waiting; the part that the socket's buffer takes.
  IoResult try_write(std::span<const iovec> parts);
  /// Everything; `parts` is used up. `written` (may be null) counts what went out, also when it fails in between.
  Task<boost::system::error_code> write_all(std::span<iovec> parts, std::size_t* written = nullptr);

  /// Bytes from the socket into an empty pipe, and from a pipe into the socket, by splice(2); otherwise like try_read()
  /// and try_write(). `more`: the last segment may wait for what follows (SPLICE_F_MORE).
  IoResult try_splice_from(int pipe, std::size_t bytes);
  IoResult try_splice_to(int pipe, std::size_t bytes, bool more);

  /// True if the last read left nothing behind, as far as is known.
  bool drained() const { return !maybe_readable_; }

  /// Whether splice would stop at the peer's urgent data.
  bool has_urgent() const { return urgent_; }

  /// Ends the waits in flight and refuses those to come with `reason`, until resume().
  void interrupt(boost::system::error_code reason);
  void resume() { interrupted_ = {}; }
  boost::system::error_code interrupted() const { return interrupted_; }

  void shutdown_send();
  void close();
  /// Closes with RST: the peer must not take the end for a whole message.
  void reset();

 private:
  void on_events(std::uint32_t events) override;

  EventLoop& loop_;
  Fd socket_;
  boost::system::error_code interrupted_;
  std::coroutine_handle<> reader_;
  std::coroutine_handle<> writer_;
  bool maybe_readable_ = true;
  bool maybe_writable_ = true;
  bool urgent_ = false;  ///< the peer sends urgent data: recv() stops at its mark, with bytes left behind
  bool ended_ = false;  ///< the peer's end or an error was announced: no further edge will tell of it
};

}  // namespace causeway::net
