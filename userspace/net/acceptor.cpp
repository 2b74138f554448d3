#include "net/acceptor.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/socket.h>

#include "base/log.h"
#include "net/socket_options.h"

namespace causeway::net {

namespace asio = boost::asio;
using boost::system::error_code;
using namespace std::chrono_literals;

namespace {
/// Accepted in one go before other connections of the worker get their turn.
constexpr int kBurst = 64;
/// Without descriptors or memory the listener stays readable: asking again at once would spin.
constexpr auto kPause = 50ms;
}  // namespace

struct Acceptor::State : std::enable_shared_from_this<State> {
  State(Executor executor, OnAccept callback) : listener(executor), timer(executor), on_accept(std::move(callback)) {}

  enum class Drained { yes, no, exhausted };
  Drained accept_burst();
  void wait();
  void pause();

  asio::posix::basic_stream_descriptor<Executor> listener;
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor> timer;
  OnAccept on_accept;
  bool warned = false;
};

Acceptor::State::Drained Acceptor::State::accept_burst() {
  for (int i = 0; i < kBurst && listener.is_open(); ++i) {
    Fd socket(::accept4(listener.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket) {
      set_no_delay(socket.get());
      on_accept(std::move(socket));
      continue;
    }
    // EPERM: a firewall rule; the other network errors of accept(2) belong to the one connection.
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Drained::yes;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      if (!std::exchange(warned, true))
        log::warn("cannot accept: {}", errno_error(errno, "accept", "connection").message());
      return Drained::exhausted;
    }
    if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK || errno == EOPNOTSUPP) {
      log::error("{}; this listener is given up", errno_error(errno, "accept on", "listener").message());
      error_code ignored;
      listener.close(ignored);
      return Drained::yes;
    }
  }
  return Drained::no;
}

void Acceptor::State::wait() {
  if (!listener.is_open()) return;
  listener.async_wait(asio::posix::descriptor_base::wait_read, [self = shared_from_this()](error_code error) {
    if (error) return;
    if (self->accept_burst() == Drained::exhausted) return self->pause();
    self->wait();  // armed anew, it reports at once if the queue is not empty
  });
}

void Acceptor::State::pause() {
  timer.expires_after(kPause);
  timer.async_wait([self = shared_from_this()](error_code error) {
    if (!error) self->wait();
  });
}

Acceptor::Acceptor(Executor executor, Fd listener, OnAccept on_accept)
    : state_(std::make_shared<State>(executor, std::move(on_accept))) {
  ::fcntl(listener.get(), F_SETFL, ::fcntl(listener.get(), F_GETFL) | O_NONBLOCK);
  state_->listener.assign(listener.get());
  listener.release();
}

Acceptor::~Acceptor() {
  error_code ignored;
  state_->timer.cancel();
  state_->listener.close(ignored);
}

void Acceptor::start() {
  state_->wait();
}

void Acceptor::stop() {
  while (state_->listener.is_open() && state_->accept_burst() == State::Drained::no) {
  }
  error_code ignored;
  state_->timer.cancel();
  state_->listener.close(ignored);
}

}  // namespace causeway::net
