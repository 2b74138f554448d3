#include "net/connection.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
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

Connection::Connection(EventLoop& loop, Fd socket, State state)
    : loop_(loop),
      socket_(std::move(socket)),
      maybe_readable_(state == State::connected),
      maybe_writable_(state == State::connected) {
  // Once for its life and both directions: a registration a wait would cost a system call each.
  if (!loop_.watch(fd(), EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET, *this)) interrupted_ = system_error(errno);
}

Connection::~Connection() {
  close();
}

void Connection::on_events(std::uint32_t events) {
  constexpr std::uint32_t kEnd = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  if ((events & kEnd) != 0) ended_ = true;
  if ((events & EPOLLPRI) != 0) urgent_ = true;
  if ((events & (EPOLLIN | EPOLLPRI | kEnd)) != 0) maybe_readable_ = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) maybe_writable_ = true;
  // The one resumed first may destroy this connection, unless the other still refers to it: then it is alive.
  const auto reader = maybe_readable_ ? std::exchange(reader_, {}) : std::coroutine_handle<>();
  const auto writer = maybe_writable_ ? std::exchange(writer_, {}) : std::coroutine_handle<>();
  if (writer) writer.resume();
  if (reader) reader.resume();
}

IoResult Connection::try_read(std::span<char> into) {
  if (interrupted_) return {0, interrupted_};
  for (;;) {
    const ssize_t n = ::recv(fd(), into.data(), into.size(), MSG_DONTWAIT);
    if (n > 0) {
      // A short read emptied the queue: the next one waits without asking again. Not behind an announced end, which
      // no further edge will tell of (epoll(7)).
      maybe_readable_ = ended_ || urgent_ || static_cast<std::size_t>(n) == into.size();
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
    const ssize_t n = ::sendmsg(fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
      maybe_writable_ = static_cast<std::size_t>(n) == total(parts);
      return {static_cast<std::size_t>(n), {}};
    }
    if (errno == EINTR) continue;
    if (!would_block(errno)) return {0, system_error(errno)};
    maybe_writable_ = false;
    return {0, asio::error::would_block};
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

IoResult Connection::try_splice_from(int pipe, std::size_t bytes) {
  if (interrupted_) return {0, interrupted_};
  for (;;) {
    const ssize_t n = ::splice(fd(), nullptr, pipe, nullptr, bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n > 0) return {static_cast<std::size_t>(n), {}};
    if (n == 0) return {0, asio::error::eof};
    if (errno == EINTR) continue;
    if (!would_block(errno)) return {0, system_error(errno)};
    maybe_readable_ = false;
    return {0, asio::error::would_block};
  }
}

IoResult Connection::try_splice_to(int pipe, std::size_t bytes, bool more) {
  if (interrupted_) return {0, interrupted_};
  const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0u);
  for (;;) {
    const ssize_t n = ::splice(pipe, nullptr, fd(), nullptr, bytes, flags);
    if (n >= 0) return {static_cast<std::size_t>(n), {}};
    if (errno == EINTR) continue;
    if (!would_block(errno)) return {0, system_error(errno)};
    maybe_writable_ = false;
    return {0, asio::error::would_block};
  }
}

void Connection::interrupt(error_code reason) {
  interrupted_ = reason;
  // Later: whoever interrupts is in the middle of something.
  if (reader_) loop_.schedule(std::exchange(reader_, {}));
  if (writer_) loop_.schedule(std::exchange(writer_, {}));
}

void Connection::shutdown_send() {
  if (is_open()) ::shutdown(fd(), SHUT_WR);
}

void Connection::close() {
  if (!is_open()) return;
  loop_.forget(*this);
  socket_.reset();
}

void Connection::reset() {
  if (is_open()) set_reset_on_close(fd());
  close();
}

}  // namespace causeway::net
