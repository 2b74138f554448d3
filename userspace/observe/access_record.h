#pragma once
// What the access log tells of one request, or of one relayed connection.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "base/ip.h"
#include "observe/flags.h"

namespace causeway::observe {

/// Views point into what the session holds: they must be valid when the line is written, no longer. An empty view, an
/// empty optional or a status of 0 is written as "-" or null.
struct AccessRecord {
  WallTime start{};  ///< when the request's head, or the connection, had come
  std::chrono::nanoseconds duration{0};
  std::optional<std::chrono::nanoseconds> first_byte;  ///< from the start to the first byte of the answer sent on
  std::string_view protocol;                           ///< "HTTP/1.1", "TCP"
  std::string_view method;
  std::string_view path;  ///< with its query, which the formatter drops unless it is asked for
  std::string_view authority;
  std::string_view request_id;
  std::uint16_t status = 0;
  Flags flags;
  std::string_view reason;           ///< of a failure: one line for a person
  std::uint64_t bytes_received = 0;  ///< from the client
  std::uint64_t bytes_sent = 0;      ///< to the client
  unsigned retries = 0;
  std::string_view client;  ///< the calling ECS service's name, or "host"
  std::string_view namespace_name;
  std::string_view discovery_name;
  std::optional<SocketAddress> peer;      ///< the client's end of its connection
  std::optional<SocketAddress> upstream;  ///< the endpoint that was tried last
};

}  // namespace causeway::observe
