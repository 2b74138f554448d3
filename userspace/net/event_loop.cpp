#include "net/event_loop.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <sys/eventfd.h>
#include <unistd.h>

namespace causeway::net {

namespace {

Fd checked(int fd, const char* what) {
  if (fd < 0) throw std::system_error(errno, std::system_category(), what);
  return Fd(fd);
}

}  // namespace

EventLoop::EventLoop()
    : epoll_(checked(::epoll_create1(EPOLL_CLOEXEC), "create an epoll set")),
      wake_(checked(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "create an event descriptor")) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;  // never read: each write is an edge of its own
  event.data.ptr = nullptr;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0)
    throw std::system_error(errno, std::system_category(), "watch an event descriptor");
}

EventLoop::~EventLoop() = default;

bool EventLoop::watch(int fd, std::uint32_t events, Watch& watch) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watch;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void EventLoop::change(int fd, std::uint32_t events, Watch& watch) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watch;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::unwatch(int fd, const Watch& watch) {
  forget(watch);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::forget(const Watch& watch) {
  for (int i = next_; i < count_; ++i) {
    auto& event = batch_[static_cast<std::size_t>(i)];
    if (event.data.ptr == &watch) event.data.ptr = nullptr;
  }
}

void EventLoop::post(std::function<void()> function) {
  {
    const std::lock_guard lock(posting_);
    posted_.push_back(std::move(function));
    has_posted_.store(true, std::memory_order_release);
  }
  const std::uint64_t one = 1;
  // Full (EAGAIN) after 2^64 - 2 of them: it is readable then all the same.
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
}

void EventLoop::run() {
  stopped_ = false;
  while (!stopped_) turn(-1);
}

void EventLoop::run_once(int milliseconds) {
  turn(milliseconds);
}

void EventLoop::turn(int milliseconds) {
  if (next_ == count_) {
    int wait = wheel.milliseconds_to_next();
    if (milliseconds >= 0 && (wait < 0 || wait > milliseconds)) wait = milliseconds;
    if (!ready_.empty() || resumed_ < resuming_.size() || has_posted_.load(std::memory_order_acquire)) wait = 0;
    const int count = ::epoll_wait(epoll_.get(), batch_.data(), kBatch, wait);
    next_ = 0;
    count_ = std::max(count, 0);  // EINTR: nothing came
  }
  dispatch();
  run_posted();
  wheel.run();
  run_ready();
}

void EventLoop::dispatch() {
  while (next_ < count_) {
    const epoll_event event = batch_[static_cast<std::size_t>(next_++)];
    if (event.data.ptr != nullptr) static_cast<Watch*>(event.data.ptr)->on_events(event.events);
  }
}

void EventLoop::run_posted() {
  while (has_posted_.load(std::memory_order_acquire)) {
    std::function<void()> function;
    {
      const std::lock_guard lock(posting_);
      function = std::move(posted_.front());
      posted_.pop_front();
      has_posted_.store(!posted_.empty(), std::memory_order_relaxed);
    }
    function();
  }
}

/// Those scheduled meanwhile wait for the next turn: sockets come in between.
void EventLoop::run_ready() {
  if (resumed_ == resuming_.size()) {
    resuming_.clear();
    resumed_ = 0;
    resuming_.swap(ready_);
  }
  while (resumed_ < resuming_.size()) resuming_[resumed_++].resume();
}

}  // namespace causeway::net
