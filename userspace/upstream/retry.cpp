#include "upstream/retry.h"

#include <algorithm>

namespace causeway::upstream {

namespace {

bool is_connect_failure(Failure failure) {
  return failure == Failure::refused || failure == Failure::unreachable || failure == Failure::connect_timeout ||
         failure == Failure::no_port;
}

bool is_stale_connection(const Attempt& attempt) {
  if (!attempt.reused_connection) return false;
  return attempt.failure == Failure::given_up || (attempt.failure == Failure::reset && !attempt.response_begun);
}

}  // namespace

void RetryBudget::advance() {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.steady().time_since_epoch()).count();
  const auto steps = std::min<std::int64_t>(now - now_, static_cast<std::int64_t>(kSeconds));
  for (std::int64_t i = 1; i <= steps; ++i) {
    Second& oldest = ring_[static_cast<std::size_t>(now - steps + i) % kSeconds];
    requests_ -= oldest.requests;
    retries_ -= oldest.retries;
    oldest = {};
  }
  if (steps > 0) now_ = now;
}

void RetryBudget::on_request() {
  advance();
  ++ring_[static_cast<std::size_t>(now_) % kSeconds].requests;
  ++requests_;
}

bool RetryBudget::take(std::uint32_t percent) {
  advance();
  if (percent == 0 || retries_ >= std::max(kMinimum, requests_ * percent / 100)) return false;
  ++ring_[static_cast<std::size_t>(now_) % kSeconds].retries;
  ++retries_;
  return true;
}

Retry decide(const Attempt& attempt, const ServiceSettings& settings, RetryBudget& budget) {
  if (!attempt.replayable) return Retry::no;
  const bool may_go_on = attempt.retries < settings.retries;
  if (is_connect_failure(attempt.failure)) return may_go_on ? Retry::other_endpoint : Retry::no;
  if (attempt.request_sent && !attempt.idempotent) return Retry::no;
  if (is_stale_connection(attempt)) return Retry::fresh_connection;
  const bool unanswered = attempt.failure == Failure::reset && !attempt.response_begun;
  if (!unanswered && attempt.failure != Failure::unavailable) return Retry::no;
  if (!may_go_on) return Retry::no;
  return budget.take(settings.retry_budget) ? Retry::other_endpoint : Retry::over_budget;
}

bool counts_against_endpoint(const Attempt& attempt) {
  return !is_stale_connection(attempt) && attempt.failure != Failure::no_port;
}

}  // namespace causeway::upstream
