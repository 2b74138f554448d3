#pragma once
// The bounds that the proxy holds its clients to: `[limits]` of the configuration.
#include <chrono>
#include <cstdint>

namespace causeway::feed {

/// Defaults are what Envoy and HAProxy use, or tell their users to use, where strangers connect; docs/limits.md has the
/// comparison.
struct ProxyLimits {
  std::uint32_t header_bytes = 64 * 1024;         ///< of a request's head; 1024..65536
  std::uint32_t header_fields = 100;              ///< 1..1000
  std::chrono::milliseconds header_time{15'000};  ///< from a head's first byte to its last; > 0
  std::chrono::milliseconds body_idle{300'000};   ///< without a byte of a request's body; 0: off
  std::uint32_t connections = 50'000;             ///< clients' connections in all; > 0
  std::uint32_t connections_per_workload = 0;     ///< 0: three quarters of what the proxy takes in all
  std::uint32_t descriptors = 0;                  ///< 0: as many as the system lets the process have

  friend bool operator==(const ProxyLimits&, const ProxyLimits&) = default;
};

}  // namespace causeway::feed
