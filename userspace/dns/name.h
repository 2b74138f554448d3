#pragma once
// Domain names in wire form (RFC 1035, 3.1): length-prefixed labels and the root's zero byte, uncompressed. Wire form
// and not text, because a label may hold any byte, a dot among them.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/ip.h"

namespace causeway::dns {

using Bytes = std::span<const std::uint8_t>;

/// "user-svc.example.com", with or without the final dot, as a lower-case wire name. Empty where a label is empty or
/// longer than 63 bytes, or the name longer than 255.
std::optional<std::string> wire_name(std::string_view text);

/// ASCII lower case (RFC 4343). Length bytes are at most 63, below 'A', so the whole wire name can be folded at once.
std::string fold_case(std::string_view wire);

/// The name without its first label; empty for the root.
std::string_view parent(std::string_view wire);

/// Where an uncompressed name that starts at `at` ends; empty where it is compressed, too long or cut off.
std::optional<std::size_t> plain_name_end(Bytes message, std::size_t at);

/// Where a name ends that may be compressed; pointers are not followed.
std::optional<std::size_t> any_name_end(Bytes message, std::size_t at);

/// 1.0.255.127.in-addr.arpa or the ip6.arpa name (RFC 3596, 2.5), in wire form.
std::string reverse_name(const IpAddress& address);

}  // namespace causeway::dns
