#include "net/deadline.h"

#include <algorithm>

namespace causeway::net {

using namespace std::chrono_literals;

namespace {
constexpr auto kResolution = 10ms;
}

DeadlineWheel::DeadlineWheel(boost::asio::io_context& context)
    : timer_(context.get_executor()), done_(tick_of(std::chrono::steady_clock::now())) {}

DeadlineWheel::~DeadlineWheel() = default;

DeadlineWheel::Tick DeadlineWheel::tick_of(SteadyTime time) {
  return time.time_since_epoch() / kResolution;
}

void DeadlineWheel::insert(Deadline& deadline) {
  // Looked at in the tick behind its time, so never early; no further ahead than one turn of the wheel.
  const Tick now = std::max(done_, tick_of(std::chrono::steady_clock::now()) - 1);
  const Tick due = tick_of(deadline.expiry_) + 1;
  deadline.linked_ = std::clamp(due, now + 1, now + static_cast<Tick>(kSlots) - 1);
  Link& head = slots_[static_cast<std::size_t>(deadline.linked_) % kSlots];
  deadline.next = &head;
  deadline.previous = head.previous;
  head.previous->next = &deadline;
  head.previous = &deadline;
  ++size_;
  if (!running_ && (wake_ == 0 || deadline.linked_ < wake_)) wake_at(deadline.linked_);
}

void DeadlineWheel::wake_at(Tick tick) {
  wake_ = tick;
  timer_.expires_at(SteadyTime(std::chrono::duration_cast<SteadyTime::duration>(tick * kResolution)));
  timer_.async_wait([this, tick](boost::system::error_code error) {
    if (error || wake_ != tick) return;  // set again meanwhile, or the worker ends
    run();
  });
}

void DeadlineWheel::run() {
  wake_ = 0;
  running_ = true;
  const Tick now = tick_of(std::chrono::steady_clock::now());
  // After a long pause one turn covers every slot.
  Tick tick = std::max(done_, now - static_cast<Tick>(kSlots)) + 1;
  for (; tick <= now && size_ > 0; ++tick) {
    done_ = tick;
    run_slot(static_cast<std::size_t>(tick) % kSlots);
  }
  done_ = std::max(done_, now);
  running_ = false;
  schedule_next();
}

void DeadlineWheel::run_slot(std::size_t slot) {
  // Taken off as a whole: a handler may link its own deadline anew, here or elsewhere, or destroy others.
  Link batch;
  Link& head = slots_[slot];
  if (head.next == &head) return;
  batch.next = head.next;
  batch.previous = head.previous;
  batch.next->previous = &batch;
  batch.previous->next = &batch;
  head.next = head.previous = &head;
  const SteadyTime now = std::chrono::steady_clock::now();
  while (batch.next != &batch) {
    Deadline& deadline = static_cast<Deadline&>(*batch.next);
    deadline.unlink();
    if (deadline.expiry_ == SteadyTime::max()) continue;
    if (deadline.expiry_ > now) {
      insert(deadline);
      continue;
    }
    deadline.expiry_ = SteadyTime::max();
    deadline.handler_(deadline.argument_);
  }
}

void DeadlineWheel::schedule_next() {
  if (size_ == 0) return;
  for (Tick tick = done_ + 1; tick <= done_ + static_cast<Tick>(kSlots); ++tick) {
    const Link& head = slots_[static_cast<std::size_t>(tick) % kSlots];
    if (head.next == &head) continue;
    if (wake_ == 0 || tick < wake_) wake_at(tick);
    return;
  }
}

void Deadline::expires_at(SteadyTime time) {
  expiry_ = time;
  if (time == SteadyTime::max()) return;
  if (linked_ != 0) {
    if (linked_ <= DeadlineWheel::tick_of(time) + 1) return;  // its slot comes up earlier and moves it then
    unlink();
  }
  wheel_.insert(*this);
}

void Deadline::unlink() {
  if (linked_ == 0) return;
  next->previous = previous;
  previous->next = next;
  next = previous = this;
  linked_ = 0;
  --wheel_.size_;
}

}  // namespace causeway::net
