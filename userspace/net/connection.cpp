#include "net/connection.h"

#include <algorithm>
#include <cerrno>

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <sys/socket.h>

#include "net/socket_options.h"

namespace causeway::net {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

error_code system_error(int code) {
  return {code, boost::system::system_category()};
}

bool would_block(int code) {
  return code == EAGAIN || code == EWOULDBLOCK;
}

std::size_t total(std::span<const iovec> parts) {
  std::size_t sum = 0;
  for (const iovec& part : parts) sum += part.iov_len;
  return sum;
}

/// The parts behind the first `bytes` bytes; the first of them is shortened.
std::span<iovec> behind(std::span<iovec> parts, std::size_t bytes) {
  while (!parts.empty() && bytes >= parts.front().iov_len) {
    bytes -= parts.front().iov_len;
    parts = parts.subspan(1);
  }
  if (!parts.empty()) {
    parts.front().iov_base = static_cast<char*>(parts.front().iov_base) + bytes;
    parts.front().iov_len -= bytes;
  }
  return parts;
}

}  // namespace

Connection::Connection(Executor executor, Fd socket) : descriptor_(executor) {
  descriptor_.assign(socket.get());
  socket.release();
}

Task<error_code> Connection::wait_readable() {
  if (interrupted_) co_return interrupted_;
  error_code error;
  co_await descriptor_.async_wait(asio::posix::descriptor_base::wait_read, asio::redirect_error(use_task, error));
  maybe_readable_ = true;
  co_return interrupted_ ? interrupted_ : error;
}

Task<error_code> Connection::wait_writable() {
  if (interrupted_) co_return interrupted_;
  error_code error;
  co_await descriptor_.async_wait(asio::posix::descriptor_base::wait_write, asio::redirect_error(use_task, error));
  co_return interrupted_ ? interrupted_ : error;
}

IoResult Connection::try_read(std::span<char> into) {
  if (interrupted_) return {0, interrupted_};
  for (;;) {
    const ssize_t n = ::recv(descriptor_.native_handle(), into.data(), into.size(), MSG_DONTWAIT);
    if (n > 0) {
      // A short read emptied the queue: the next one waits without asking again.
      maybe_readable_ = static_cast<std::size_t>(n) == into.size();
      return {static_cast<std::size_t>(n), {}};
    }
    if (n == 0) return {0, asio::error::eof};
    if (errno == EINTR) continue;
    if (would_block(errno)) {
      maybe_readable_ = false;
      return {0, asio::error::would_block};
    }
    return {0, system_error(errno)};
  }
}

Task<IoResult> Connection::read_some(std::span<char> into) {
  for (;;) {
    if (maybe_readable_) {
      const IoResult read = try_read(into);
      if (read.error != asio::error::would_block) co_return read;
    }
    const error_code error = co_await wait_readable();
    if (error) co_return IoResult{0, error};
  }
}

IoResult Connection::try_write(std::span<const iovec> parts) {
  if (interrupted_) return {0, interrupted_};
  for (;;) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts.data());
    message.msg_iovlen = parts.size();
    const ssize_t n = ::sendmsg(descriptor_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) return {static_cast<std::size_t>(n), {}};
    if (errno == EINTR) continue;
    return {0, would_block(errno) ? error_code(asio::error::would_block) : system_error(errno)};
  }
}

Task<error_code> Connection::write_all(std::span<iovec> parts, std::size_t* written) {
  std::size_t left = total(parts);
  while (left > 0) {
    const IoResult wrote = try_write(parts);
    if (wrote.error && wrote.error != asio::error::would_block) co_return wrote.error;
    if (written != nullptr) *written += wrote.bytes;
    left -= wrote.bytes;
    if (left == 0) break;
    parts = behind(parts, wrote.bytes);
    const error_code error = co_await wait_writable();
    if (error) co_return error;
  }
  co_return error_code{};
}

void Connection::interrupt(error_code reason) {
  interrupted_ = reason;
  error_code ignored;
  descriptor_.cancel(ignored);
}

void Connection::shutdown_send() {
  if (is_open()) ::shutdown(fd(), SHUT_WR);
}

void Connection::close() {
  error_code ignored;
  descriptor_.close(ignored);
}

void Connection::reset() {
  if (is_open()) set_reset_on_close(fd());
  close();
}

}  // namespace causeway::net
