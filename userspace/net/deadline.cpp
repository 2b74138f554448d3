#include "net/deadline.h"

#include <algorithm>

namespace causeway::net {

using namespace std::chrono_literals;

namespace {

constexpr auto kResolution = 10ms;

/// One that throws (out of memory) ends the process, and another takes over: the slot in hand is half unlinked.
void fire(Deadline::Handler handler, void* argument) noexcept {
  handler(argument);
}

}  // namespace

DeadlineWheel::DeadlineWheel() : done_(tick_of(std::chrono::steady_clock::now())) {}

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
  if (wake_ == 0 || deadline.linked_ < wake_) wake_ = deadline.linked_;
}

int DeadlineWheel::milliseconds_to_next() const {
  if (wake_ == 0) return -1;
  const SteadyTime due{std::chrono::duration_cast<SteadyTime::duration>(wake_ * kResolution)};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - std::chrono::steady_clock::now());
  return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
}

void DeadlineWheel::run() {
  if (wake_ == 0 || running_) return;
  const Tick now = tick_of(std::chrono::steady_clock::now());
  if (now < wake_) return;
  running_ = true;
  // After a long pause one turn covers every slot.
  Tick tick = std::max(done_, now - static_cast<Tick>(kSlots)) + 1;
  for (; tick <= now && size_ > 0; ++tick) {
    done_ = tick;
    run_slot(static_cast<std::size_t>(tick) % kSlots);
  }
  done_ = std::max(done_, now);
  running_ = false;
  find_next();
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
    fire(deadline.handler_, deadline.argument_);
  }
}

void DeadlineWheel::find_next() {
  wake_ = 0;
  if (size_ == 0) return;
  for (Tick tick = done_ + 1; tick <= done_ + static_cast<Tick>(kSlots); ++tick) {
    const Link& head = slots_[static_cast<std::size_t>(tick) % kSlots];
    if (head.next == &head) continue;
    wake_ = tick;
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
