#include "net/acceptor.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/socket.h>

#include "base/log.h"
#include "net/socket_options.h"

namespace causeway::net {

using namespace std::chrono_literals;

namespace {
/// Accepted in one go before other connections of the worker get their turn.
constexpr int kBurst = 64;
/// Without descriptors or memory the listener stays readable: asking again at once would spin.
constexpr auto kPause = 50ms;
}  // namespace

Acceptor::Drained Acceptor::accept_burst() {
  for (int i = 0; i < kBurst && listener_; ++i) {
    Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket) {
      set_no_delay(socket.get());
      on_accept_(std::move(socket));
      continue;
    }
    // EPERM: a firewall rule; the other network errors of accept(2) belong to the one connection.
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Drained::yes;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      if (!std::exchange(warned_, true))
        log::warn("cannot accept: {}", errno_error(errno, "accept", "connection").message());
      return Drained::exhausted;
    }
    if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK || errno == EOPNOTSUPP) {
      log::error("{}; this listener is given up", errno_error(errno, "accept on", "listener").message());
      close();
      return Drained::yes;
    }
  }
  return Drained::no;
}

/// Level-triggered: what is left after a burst is told again in the next turn.
void Acceptor::on_events(std::uint32_t) {
  if (accept_burst() != Drained::exhausted) return;
  loop_.change(listener_.get(), 0, *this);
  pause_.expires_after(kPause);
}

void Acceptor::on_pause_over() {
  if (listener_) loop_.change(listener_.get(), EPOLLIN, *this);
}

Acceptor::Acceptor(EventLoop& loop, Fd listener, OnAccept on_accept)
    : loop_(loop),
      listener_(std::move(listener)),
      on_accept_(std::move(on_accept)),
      pause_(
          loop.wheel, [](void* self) { static_cast<Acceptor*>(self)->on_pause_over(); }, this) {
  ::fcntl(listener_.get(), F_SETFL, ::fcntl(listener_.get(), F_GETFL) | O_NONBLOCK);
}

Acceptor::~Acceptor() {
  close();
}

void Acceptor::start() {
  watched_ = loop_.watch(listener_.get(), EPOLLIN, *this);
  if (!watched_) log::error("{}", errno_error(errno, "watch", "listener").message());
}

void Acceptor::stop() {
  while (listener_ && accept_burst() == Drained::no) {
  }
  close();
}

/// Other descriptors of the listener (an inherited one, another proxy's) keep it in the epoll set: taken out by name.
void Acceptor::close() {
  if (!listener_) return;
  pause_.clear();
  if (std::exchange(watched_, false)) loop_.unwatch(listener_.get(), *this);
  listener_.reset();
}

}  // namespace causeway::net
