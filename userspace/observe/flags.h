#pragma once
// Response flags: in two or three letters, why a request or connection ended as it did. The names are Envoy's, so that
// a person who knows them there knows them here.
#include <cstdint>
#include <span>
#include <string_view>

namespace causeway::observe {

enum class Flag : std::uint8_t {
  no_endpoint,              // UH
  connect_failure,          // UF
  overflow,                 // UO
  retries_exhausted,        // URX
  upstream_timeout,         // UT
  upstream_closed,          // UC
  upstream_protocol_error,  // UPE
  local_reset,              // LR
  client_gone,              // DC
  client_protocol_error,    // DPE
  idle_timeout,             // SI
  overload,                 // OM
  count
};

/// A set of flags.
class Flags {
 public:
  constexpr Flags() = default;
  void set(Flag flag) { bits_ = static_cast<std::uint16_t>(bits_ | bit(flag)); }
  bool has(Flag flag) const { return (bits_ & bit(flag)) != 0; }
  bool none() const { return bits_ == 0; }
  bool operator==(const Flags&) const = default;

 private:
  static constexpr unsigned bit(Flag flag) { return 1u << static_cast<unsigned>(flag); }
  std::uint16_t bits_ = 0;
};

struct FlagText {
  std::string_view name;     ///< "UH"
  std::string_view meaning;  ///< one line for a person
};

/// In the order of Flag.
std::span<const FlagText> flags_table();
std::string_view name_of(Flag flag);

}  // namespace causeway::observe
