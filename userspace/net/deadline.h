#pragma once
// Deadlines that cost a store to move: a hashed timer wheel (Varghese, Lauck 1987) whose entries are moved when they
// come up, not when they are set later.
#include <array>
#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace causeway::net {

class Deadline;

/// All deadlines of one event loop; resolution 10 ms. Not thread-safe.
class DeadlineWheel {
 public:
  DeadlineWheel();
  DeadlineWheel(const DeadlineWheel&) = delete;
  DeadlineWheel& operator=(const DeadlineWheel&) = delete;

  /// How long nothing needs to be run; -1: no deadline is set.
  int milliseconds_to_next() const;
  /// Calls the handlers of those whose time has come.
  void run();

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
  void run_slot(std::size_t slot);
  void find_next();

  std::array<Link, kSlots> slots_;
  Tick done_;      ///< every slot up to this tick has been run
  Tick wake_ = 0;  ///< the first slot that has something; 0: none has
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
