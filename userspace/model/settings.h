#pragma once
// How the data path treats a service. What each setting is for stands in settings_table.cpp.
#include <chrono>
#include <cstdint>

namespace causeway {

/// Which way connections to a service take.
enum class ServicePath : std::uint8_t {
  automatic,  ///< the proxy for TCP
  kernel,     ///< connect() is taken to an endpoint, with nothing in between
  proxy,
};

/// How the kernel path chooses an endpoint for a connection.
enum class Balance : std::uint8_t { round_robin, random, least_active, maglev };

/// Whose connections maglev takes to the same endpoint.
enum class Affinity : std::uint8_t { client_address, task };

/// Whether the kernel path prefers endpoints by where they are.
enum class Locality : std::uint8_t { off, prefer_host };

/// The values here are the built-in defaults.
struct ServiceSettings {
  ServicePath path = ServicePath::automatic;
  Balance balance = Balance::round_robin;
  Affinity affinity = Affinity::client_address;
  Locality locality = Locality::off;
  std::uint32_t locality_min_healthy = 70;  ///< percent of this host's endpoints

  std::uint32_t max_connections = 8192;
  std::uint32_t max_pending_requests = 1024;
  std::uint32_t max_retries = 1024;
  std::uint32_t max_endpoint_connections = 0;  ///< 0: off

  std::uint32_t retries = 2;
  std::uint32_t retry_budget = 20;  ///< percent of the requests

  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds per_request_timeout{15'000};  ///< 0: off
  std::chrono::milliseconds http_idle_timeout{300'000};   ///< 0: off
  std::chrono::milliseconds idle_timeout{3'600'000};      ///< 0: off; of TCP
  std::chrono::milliseconds drain_timeout{20'000};

  bool ejection = true;
  std::uint32_t ejection_failures = 5;
  std::chrono::milliseconds ejection_window{30'000};
  std::chrono::milliseconds ejection_time{30'000};
  std::chrono::milliseconds ejection_max_time{300'000};
  std::uint32_t ejection_percent = 50;

  bool operator==(const ServiceSettings&) const = default;
};

inline bool takes_kernel_path(const ServiceSettings& settings) {
  return settings.path == ServicePath::kernel;
}

}  // namespace causeway
