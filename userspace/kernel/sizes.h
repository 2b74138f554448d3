#pragma once
// How much the maps are to hold: `[kernel]` of the configuration. docs/limits.md has what that takes.
#include <cstdint>

#include "causeway/abi/maps.h"

namespace causeway::kernel {

struct MapSizes {
  std::uint32_t services = CW_MAX_SERVICES;
  std::uint32_t endpoints = CW_MAX_ENDPOINTS;
  std::uint32_t aliases = CW_MAX_ALIASES / 2;  ///< each has an IPv4 and an IPv6 address
  std::uint32_t tasks = CW_MAX_WORKLOADS;

  friend bool operator==(const MapSizes&, const MapSizes&) = default;
};

}  // namespace causeway::kernel
