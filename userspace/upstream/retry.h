#pragma once
// What may be tried again, and how often.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "model/settings.h"

namespace causeway::upstream {

/// How an attempt ended badly.
enum class Failure : std::uint8_t {
  refused,      ///< connect: ECONNREFUSED
  unreachable,  ///< connect: no route, network down
  connect_timeout,
  reset,         ///< the connection broke, or ended, before the whole response head was there
  timeout,       ///< no response in time
  bad_response,  ///< malformed
  server_error,  ///< a 502 or 504 head: counted against the endpoint, and passed on
  unavailable,   ///< a 503 head: the endpoint says that it did not do it
  given_up,      ///< a 408 head: the endpoint waited for a request for too long
  no_port,       ///< connect: this host has no free port to that address; says nothing about the endpoint
};

/// Retries of requests that may have reached a server: at most a part (retry_budget) of the requests of the last 10 s,
/// or 30 in 10 s where that is more (Linkerd: 20 %, 10 s, 10/s; Envoy: 20 %, 3 at a time). One a service and worker;
/// not thread-safe.
class RetryBudget {
 public:
  static constexpr std::uint64_t kMinimum = 30;
  static constexpr std::size_t kSeconds = 10;

  explicit RetryBudget(const Clock& clock) : clock_(clock) {}
  /// A request came (not: a retry).
  void on_request();
  /// Takes one retry out of a budget of so many percent; false: it is used up. Of 0 percent nothing can be taken.
  bool take(std::uint32_t percent);

 private:
  struct Second {
    std::uint64_t requests = 0;
    std::uint64_t retries = 0;
  };
  void advance();

  const Clock& clock_;
  std::array<Second, kSeconds> ring_{};
  std::int64_t now_ = 0;                      ///< the second that ring_[now_ % kSeconds] counts
  std::uint64_t requests_ = 0, retries_ = 0;  ///< sums of the ring
};

/// An attempt that failed.
struct Attempt {
  Failure failure = Failure::reset;
  bool reused_connection = false;  ///< it came from the pool
  bool request_sent = false;       ///< at least one byte of the request was written to the socket
  bool response_begun = false;     ///< at least one byte of the response came
  bool idempotent = false;         ///< the request's method is (http::is_idempotent)
  bool replayable = true;          ///< all bytes of the request sent so far are still at hand
  unsigned retries = 0;            ///< attempts on other endpoints before this one
};

enum class Retry : std::uint8_t {
  no,
  over_budget,       ///< no, because the budget is used up
  other_endpoint,    ///< counts into Attempt::retries
  fresh_connection,  ///< the same endpoint on a new connection: the pooled one had been closed by the server meanwhile
};

/// - connect failures: another endpoint, whatever the method; not budgeted, since no server got the request twice.
/// - reset before any byte of the response, of an idempotent or unsent request whose bytes are at hand: on a pooled
///   connection a fresh one to the same endpoint (its idle timeout met our request: RFC 9112, 9.3.1; it is no failure
///   of the endpoint), on a fresh one another endpoint within the budget. A 408 on a pooled connection is the same said
///   in words (RFC 9110, 15.5.9).
/// - 503 to an idempotent request whose bytes are at hand: another endpoint within the budget.
/// - everything else is answered: a timeout has used the request's time, 502 and 504 are the server's answer, about
///   another server.
/// `settings`: how many retries on other endpoints a request may have, and the budget.
Retry decide(const Attempt& attempt, const ServiceSettings& settings, RetryBudget& budget);

/// Whether it counts against the endpoint: all but a pooled connection that was closed meanwhile, and no_port.
bool counts_against_endpoint(const Attempt& attempt);

}  // namespace causeway::upstream
