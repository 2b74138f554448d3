#include "upstream/retry.h"

#include <algorithm>

namespace causeway::upstream {

namespace {

bool is_connect_failure(Failure failure) {
  return failure == Failure::refused || failure == Failure::unreachable || failure == Failure::connect_timeout;
}

bool is_stale_connection(const Attempt& attempt) {
  return attempt.failure == Failure::reset && attempt.reused_connection && !attempt.response_begun;
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

bool RetryBudget::take() {
  advance();
  if (retries_ >= std::max(kMinimum, requests_ * kPercent / 100)) return false;
  ++ring_[static_cast<std::size_t>(now_) % kSeconds].retries;
  ++retries_;
  return true;
}

Retry decide(const Attempt& attempt, RetryBudget& budget) {
  if (!attempt.replayable) return Retry::no;
  if (is_connect_failure(attempt.failure)) return attempt.retries < kMaxRetries ? Retry::other_endpoint : Retry::no;
  if (attempt.failure != Failure::reset || attempt.response_begun) return Retry::no;
  if (attempt.request_sent && !attempt.idempotent) return Retry::no;
  if (attempt.reused_connection) return Retry::fresh_connection;
  if (attempt.retries >= kMaxRetries || !budget.take()) return Retry::no;
  return Retry::other_endpoint;
}

bool counts_against_endpoint(const Attempt& attempt) {
  return !is_stale_connection(attempt);
}

}  // namespace causeway::upstream
