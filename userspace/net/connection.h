#pragma once
// One TCP connection of a worker: reads and writes are tried at once and wait only when they must.
#include <cstddef>
#include <span>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/system/error_code.hpp>
#include <sys/uio.h>

#include "base/fd.h"
#include "net/task.h"

namespace causeway::net {

struct IoResult {
  std::size_t bytes = 0;
  boost::system::error_code error;  ///< asio::error::eof: the peer shut down its sending half
};

/// Not thread-safe; at most one read and one write wait at a time.
class Connection {
 public:
  /// Takes over a connected (or connecting), non-blocking socket.
  Connection(Executor executor, Fd socket);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() = default;  // closes

  int fd() { return descriptor_.native_handle(); }
  Executor executor() { return descriptor_.get_executor(); }
  bool is_open() const { return descriptor_.is_open(); }

  /// Waits until a read would not block (data, end or error).
  Task<boost::system::error_code> wait_readable();
  Task<boost::system::error_code> wait_writable();

  /// Without waiting: error asio::error::would_block if nothing is there.
  IoResult try_read(std::span<char> into);
  /// What is there, at least a byte.
  Task<IoResult> read_some(std::span<char> into);
  /// Without waiting; the part that the socket's buffer takes.
  IoResult try_write(std::span<const iovec> parts);
  /// Everything; `parts` is used up. `written` (may be null) counts what went out, also when it fails in between.
  Task<boost::system::error_code> write_all(std::span<iovec> parts, std::size_t* written = nullptr);

  /// The next read waits first: nothing can have come yet (a request was just sent).
  void expect_nothing_yet() { maybe_readable_ = false; }
  /// True if the last read left nothing behind, as far as is known.
  bool drained() const { return !maybe_readable_; }

  /// Ends the waits in flight and refuses those to come with `reason`, until resume().
  void interrupt(boost::system::error_code reason);
  void resume() { interrupted_ = {}; }
  boost::system::error_code interrupted() const { return interrupted_; }

  void shutdown_send();
  void close();
  /// Closes with RST: the peer must not take the end for a whole message.
  void reset();

 private:
  boost::asio::posix::basic_stream_descriptor<Executor> descriptor_;
  boost::system::error_code interrupted_;
  bool maybe_readable_ = true;
};

}  // namespace causeway::net
