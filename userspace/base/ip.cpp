#include "base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace causeway {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

unsigned bits_in_16_bytes(const IpPrefix& prefix) { return prefix.base.is_v4() ? prefix.length + 96 : prefix.length; }

}  // namespace

IpAddress IpAddress::v4_be(std::uint32_t network_order) {
  IpAddress ip;
  std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), ip.bytes_.begin());
  std::memcpy(ip.bytes_.data() + 12, &network_order, 4);
  return ip;
}

IpAddress IpAddress::v4(std::uint32_t host_order) { return v4_be(htonl(host_order)); }

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
  IpAddress ip;
  ip.bytes_ = bytes;
  return ip;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  in_addr four{};
  if (::inet_pton(AF_INET, terminated.c_str(), &four) == 1) return v4_be(four.s_addr);
  IpAddress ip;
  if (::inet_pton(AF_INET6, terminated.c_str(), ip.bytes_.data()) == 1) return ip;
  return std::nullopt;
}

bool IpAddress::is_v4() const { return std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes_.begin()); }

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[12] == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](auto b) { return b == 0; }) && bytes_[15] == 1;
}

std::uint32_t IpAddress::to_v4_be() const {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes_.data() + 12, 4);
  return value;
}

std::uint32_t IpAddress::to_v4() const { return ntohl(to_v4_be()); }

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN];
  if (is_v4()) return ::inet_ntop(AF_INET, bytes_.data() + 12, text, sizeof text);
  return ::inet_ntop(AF_INET6, bytes_.data(), text, sizeof text);
}

std::optional<SocketAddress> SocketAddress::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (bracketed != (host.find(':') != std::string_view::npos)) return std::nullopt;
  const auto ip = IpAddress::parse(host);
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  if (!ip || !port) return std::nullopt;
  return SocketAddress{*ip, *port};
}

std::optional<SocketAddress> SocketAddress::from(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in four;
    std::memcpy(&four, &storage, sizeof four);
    return SocketAddress{IpAddress::v4_be(four.sin_addr.s_addr), ntohs(four.sin_port)};
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 six;
    std::memcpy(&six, &storage, sizeof six);
    std::array<std::uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &six.sin6_addr, 16);
    return SocketAddress{IpAddress::v6(bytes), ntohs(six.sin6_port)};
  }
  return std::nullopt;
}

socklen_t SocketAddress::to(sockaddr_storage& storage) const {
  std::memset(&storage, 0, sizeof storage);
  if (ip.is_v4()) {
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    four.sin_addr.s_addr = ip.to_v4_be();
    std::memcpy(&storage, &four, sizeof four);
    return sizeof four;
  }
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  std::memcpy(&six.sin6_addr, ip.bytes().data(), 16);
  std::memcpy(&storage, &six, sizeof six);
  return sizeof six;
}

std::string SocketAddress::to_string() const {
  const auto host = ip.to_string();
  return (ip.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto base = IpAddress::parse(text.substr(0, slash));
  const auto length = parse_number<unsigned>(text.substr(slash + 1));
  if (!base || !length || *length > (base->is_v4() ? 32u : 128u)) return std::nullopt;
  const IpPrefix prefix{*base, *length};
  for (unsigned bit = bits_in_16_bytes(prefix); bit < 128; ++bit) {
    if ((base->bytes()[bit / 8] >> (7 - bit % 8)) & 1) return std::nullopt;
  }
  return prefix;
}

bool IpPrefix::contains(const IpAddress& ip) const {
  const unsigned bits = bits_in_16_bytes(*this);
  const unsigned whole = bits / 8;
  if (!std::equal(base.bytes().begin(), base.bytes().begin() + whole, ip.bytes().begin())) return false;
  if (bits % 8 == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xff << (8 - bits % 8));
  return (base.bytes()[whole] & mask) == (ip.bytes()[whole] & mask);
}

IpAddress IpPrefix::at(std::uint64_t offset) const {
  auto bytes = base.bytes();
  unsigned carry = 0;
  for (int i = 15; i >= 0; --i) {
    const auto index = static_cast<std::size_t>(i);
    const unsigned sum = bytes[index] + static_cast<unsigned>(offset & 0xff) + carry;
    bytes[index] = static_cast<std::uint8_t>(sum);
    carry = sum >> 8;
    offset >>= 8;
  }
  return IpAddress::v6(bytes);
}

std::string IpPrefix::to_string() const { return base.to_string() + "/" + std::to_string(length); }

}  // namespace causeway

std::size_t std::hash<causeway::IpAddress>::operator()(const causeway::IpAddress& ip) const noexcept {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::memcpy(&high, ip.bytes().data(), 8);
  std::memcpy(&low, ip.bytes().data() + 8, 8);
  return static_cast<std::size_t>((high * 0x9e3779b97f4a7c15u) ^ low ^ (low >> 29));
}

std::size_t std::hash<causeway::SocketAddress>::operator()(const causeway::SocketAddress& address) const noexcept {
  return std::hash<causeway::IpAddress>{}(address.ip) * 31 + address.port;
}
