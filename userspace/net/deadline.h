#pragma once
// Deadlines that cost a store to move: a hashed timer wheel (Varghese, Lauck 1987) whose entries are moved when they
// come up, not when they are set later.
#include <array>
#include <chrono>
#include <cstdint>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>

#include "base/clock.h"

namespace causeway::net {

class Deadline;

/// All deadlines of one worker; resolution 10 ms. Wakes up only while some are set. Not thread-safe.
class DeadlineWheel {
 public:
  explicit DeadlineWheel(boost::asio::io_context& context);
  ~DeadlineWheel();
  DeadlineWheel(const DeadlineWheel&) = delete;
  DeadlineWheel& operator=(const DeadlineWheel&) = delete;

 private:
  friend class Deadline;
  static constexpr std::size_t kSlots = 1024;
  using Tick = std::int64_t;

  struct Link {
    Link* next = this;
    Link* previous = this;
  };

  static Tick tick_of(SteadyTime time);
  void insert(Deadline& deadline);
  void wake_at(Tick tick);
  void run();
  void run_slot(std::size_t slot);
  void schedule_next();

  boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
                                    boost::asio::io_context::executor_type>
      timer_;
  std::array<Link, kSlots> slots_;
  Tick done_;      ///< every slot up to this tick has been run
  Tick wake_ = 0;  ///< when the timer fires; 0: it is not set
  bool running_ = false;
  std::size_t size_ = 0;
};

/// Calls its handler once when its time has come; the handler may set it again or destroy it. Early by nothing, late by
/// at most about 20 ms. Not copyable, not movable.
class Deadline : private DeadlineWheel::Link {
 public:
  using Handler = void (*)(void*);

  Deadline(DeadlineWheel& wheel, Handler handler, void* argument)
      : wheel_(wheel), handler_(handler), argument_(argument) {}
  ~Deadline() { unlink(); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  void expires_at(SteadyTime time);
  void expires_after(std::chrono::nanoseconds time) {
    expires_at(std::chrono::steady_clock::now() + std::chrono::duration_cast<SteadyTime::duration>(time));
  }
  void clear() { expiry_ = SteadyTime::max(); }

 private:
  friend class DeadlineWheel;
  void unlink();

  DeadlineWheel& wheel_;
  Handler handler_;
  void* argument_;
  SteadyTime expiry_ = SteadyTime::max();
  DeadlineWheel::Tick linked_ = 0;  ///< the tick at which its slot is looked at; 0: not linked
};

}  // namespace causeway::net
