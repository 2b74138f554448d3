// Answers that another endpoint may better, and what becomes of a failed attempt.
#include <algorithm>

#include "http/framing.h"
#include "proxy/http1_session.h"

namespace causeway::proxy {

using namespace std::chrono_literals;

namespace {
/// For an answer that was set aside to be taken, however late it is.
constexpr auto kHeldAnswerTime = 5s;
}  // namespace

upstream::Attempt Http1Session::describe_attempt() const {
  return {.failure = failure_,
          .reused_connection = reused_,
          .request_sent = sent_ > 0,
          .response_begun = response_begun_,
          .idempotent = http::is_idempotent(request_parser_.head().method),
          .replayable = replayable_,
          .retries = retries_};
}

bool Http1Session::wants_retry() {
  if (now() >= limit_) return false;
  switch (upstream::decide(describe_attempt(), service().settings(), service().set.retry_budget())) {
    case upstream::Retry::no:
      return false;
    case upstream::Retry::over_budget:
      count_overflow(slot(), observe::Overflow::retry_budget);
      record_.flags.set(observe::Flag::overflow);
      return false;
    case upstream::Retry::fresh_connection:
      fresh_ = true;
      return true;
    case upstream::Retry::other_endpoint:
      break;
  }
  if (!retrying_) {
    retrying_ = Hold(service().usage(), &upstream::ServiceUsage::retries, service().settings().max_retries,
                     slot().retries_active);
  }
  if (!retrying_) {
    count_overflow(slot(), observe::Overflow::retries);
    record_.flags.set(observe::Flag::overflow);
    return false;
  }
  tried_.push_back(target_.id);
  return true;
}

/// Whether the answer in hand, of which nothing was passed on yet, is not the last word: the attempt has then failed,
/// and wants_retry() decides. A 503 is kept, to be passed on if no other endpoint does better.
bool Http1Session::set_answer_aside(const http::Framing& framing) {
  const bool repeatable =
      request_sent_ && replayable_ && http::is_idempotent(request_parser_.head().method) && now() < limit_;
  if (!repeatable) return false;
  const http::ResponseHead& head = response_parser_.head();
  const bool persists = !last_response_ && http::upstream_persists(request_parser_.head(), head, framing);
  if (head.status == 408 && reused_ && !persists) {
    // Its idle timeout met our request: the endpoint had not read it.
    ended_ = Ended::failed;
    failure_ = upstream::Failure::given_up;
    return true;
  }
  const bool may_go_on = retries_ < service().settings().retries && service().set.has_another(tried_, target_.id);
  if (head.status != 503 || passing_on_ || !may_go_on) return false;
  http::BodyReader body(framing);
  const http::BodyStep step = body.read(upstream_in_.view().substr(head.length));
  if (step.outcome == http::Outcome::bad) return false;  // nothing to pass on later
  const std::size_t length = head.length + step.consumed;
  report_failed_answer();
  ended_ = Ended::failed;
  failure_ = upstream::Failure::unavailable;
  const bool reusable =
      persists && upstream_in_.view().size() == length && !context().draining() && service().set.may_reuse(target_.id);
  held_ = std::make_unique<HeldAnswer>(context().buffers);
  held_->target = target_;
  held_->in.swap(upstream_in_);
  if (!body.complete()) {
    held_->connection = std::move(upstream_);  // the rest is still to come
  } else if (reusable) {
    service().give_back(target_, std::move(upstream_));
  }
  return true;
}

/// No other endpoint did better.
net::Task<Http1Session::After> Http1Session::pass_on_held_answer() {
  const std::unique_ptr<HeldAnswer> held = std::move(held_);
  upstream_ = std::move(held->connection);
  upstream_in_.swap(held->in);
  target_ = held->target;
  record_.upstream = target_.address;
  if (retries_ > 0) record_.flags.set(observe::Flag::retries_exhausted);
  client().resume();  // the wait that was ended, if so, was for another endpoint
  set_waits({.limit = std::max(limit_, now() + kHeldAnswerTime), .watch_client = true});
  ended_ = Ended::undecided;
  after_ = After::closed;
  request_sent_ = true;
  reported_ = true;
  passing_on_ = true;
  response_parser_.reset();
  response_parser_.parse(upstream_in_.view());
  co_await forward_response();
  upstream_.reset();
  co_return after_;
}

/// What is known about the endpoint with the head of its answer. A good answer is only reported with its end: an
/// endpoint that breaks each of them off keeps failing.
void Http1Session::report_response() {
  if (reported_) return;
  if (status_ >= 502 && status_ <= 504) return report_failed_answer();
  // A trial does not last as long as a stream may, nor does what a tunnel carries tell anything.
  if (status_ != 101 && !service().set.on_trial(target_.id)) return;
  reported_ = true;
  service().report_success(target_.id, slot());
}

void Http1Session::report_failed_answer() {
  if (std::exchange(reported_, true)) return;
  service().report_failure(target_.id, slot());
}

/// Whatever was not reported with the response's head.
void Http1Session::report_attempt() {
  if (std::exchange(reported_, true)) return;
  if (ended_ == Ended::failed && upstream::counts_against_endpoint(describe_attempt())) {
    count_failure(slot(), failure_);
    service().report_failure(target_.id, slot());
  } else if (ended_ == Ended::answered) {
    service().report_success(target_.id, slot());
  } else {
    service().set.report_abandoned(target_.id);
  }
}

}  // namespace causeway::proxy
