#include "net/acceptor.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/eventfd.h>
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
      if (errno != EMFILE || !relieve_) return Drained::exhausted;
      const Drained drained = on_exhausted();
      if (drained != Drained::no) return drained;
      continue;
    }
    if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK || errno == EOPNOTSUPP) {
      log::error("{}; this listener is given up", errno_error(errno, "accept on", "listener").message());
      close();
      return Drained::yes;
    }
  }
  return Drained::no;
}

/// no: there may be more to accept.
Acceptor::Drained Acceptor::on_exhausted() {
  switch (relieve_()) {
    case Relief::freed:
      return Drained::no;
    case Relief::soon:
      return Drained::later;
    case Relief::none:
      break;
  }
  return turn_one_away();
}

Acceptor::Drained Acceptor::turn_one_away() {
  spare_.reset();
  Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  const bool taken = static_cast<bool>(socket);
  const bool empty = !taken && (errno == EAGAIN || errno == EWOULDBLOCK);
  if (taken) turn_away_(std::move(socket));
  spare_ = Fd(::eventfd(0, EFD_CLOEXEC));
  if (taken) return Drained::no;
  return empty ? Drained::yes : Drained::exhausted;  // another thread had the spare one
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

void Acceptor::when_exhausted(std::function<Relief()> relieve, OnAccept turn_away) {
  relieve_ = std::move(relieve);
  turn_away_ = std::move(turn_away);
  spare_ = Fd(::eventfd(0, EFD_CLOEXEC));
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
