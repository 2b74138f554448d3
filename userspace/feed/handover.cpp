#include "feed/handover.h"

#include <algorithm>

#include <fmt/core.h>

#include "feed/receive.h"
#include "feed/feed.pb.h"

namespace causeway::feed {
namespace {

constexpr std::size_t kMaxHandoverBytes = 4096;
constexpr unsigned kMaxWorkers = 1024;
constexpr std::uint64_t kMaxDurationMs = 24ull * 3600 * 1000;
constexpr std::uint32_t kMinHeaderBytes = 1024;
constexpr std::uint32_t kMaxHeaderBytes = 65536;
constexpr std::uint32_t kMaxHeaderFields = 1000;

std::uint64_t wire_ms(std::chrono::milliseconds time) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
}

void encode(const ProxyLimits& limits, wire::Limits& out) {
  out.set_header_bytes(limits.header_bytes);
  out.set_header_fields(limits.header_fields);
  out.set_header_time_ms(wire_ms(limits.header_time));
  out.set_body_idle_ms(wire_ms(limits.body_idle));
  out.set_connections(limits.connections);
  out.set_connections_per_workload(limits.connections_per_workload);
  out.set_descriptors(limits.descriptors);
}

bool is_sound(const wire::Limits& in) {
  return in.header_bytes() >= kMinHeaderBytes && in.header_bytes() <= kMaxHeaderBytes && in.header_fields() > 0 &&
         in.header_fields() <= kMaxHeaderFields && in.header_time_ms() > 0 && in.header_time_ms() <= kMaxDurationMs &&
         in.body_idle_ms() <= kMaxDurationMs && in.connections() > 0;
}

ProxyLimits decode(const wire::Limits& in) {
  return {.header_bytes = in.header_bytes(),
          .header_fields = in.header_fields(),
          .header_time = std::chrono::milliseconds(in.header_time_ms()),
          .body_idle = std::chrono::milliseconds(in.body_idle_ms()),
          .connections = in.connections(),
          .connections_per_workload = in.connections_per_workload(),
          .descriptors = in.descriptors()};
}

}  // namespace

std::string encode_handover(const ProxySettings& settings, const Handover& handover) {
  wire::Handover out;
  out.set_workers(settings.workers);
  out.set_drain_ms(wire_ms(settings.drain));
  encode(settings.limits, *out.mutable_limits());
  out.set_listeners(static_cast<std::uint32_t>(handover.listeners.size()));
  out.set_has_heartbeat(static_cast<bool>(handover.heartbeat));
  out.set_has_access_log(static_cast<bool>(handover.access_log));
  return out.SerializeAsString();
}

Result<std::pair<ProxySettings, Handover>> decode_handover(std::string_view message, std::vector<Fd> fds) {
  const auto refused = [](std::string_view cause) { return make_error("receive", "hand-over", cause); };
  wire::Handover in;
  if (message.size() > kMaxHandoverBytes || !in.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return refused("it is not a message of this feed");
  }
  if (in.workers() == 0 || in.workers() > kMaxWorkers) return refused(fmt::format("{} workers", in.workers()));
  if (in.drain_ms() > kMaxDurationMs) return refused(fmt::format("drain {} ms", in.drain_ms()));
  if (!is_sound(in.limits())) return refused("its limits are missing or not what they may be");
  const std::size_t expected =
      std::size_t{in.listeners()} + 1 + (in.has_heartbeat() ? 1 : 0) + (in.has_access_log() ? 1 : 0);
  if (fds.size() != expected)
    return refused(fmt::format("{} descriptors came, {} were announced", fds.size(), expected));

  std::pair<ProxySettings, Handover> out;
  out.first.workers = in.workers();
  out.first.drain = std::chrono::milliseconds(in.drain_ms());
  out.first.limits = decode(in.limits());
  const auto take_last = [&fds] {
    Fd last = std::move(fds.back());
    fds.pop_back();
    return last;
  };
  if (in.has_access_log()) out.second.access_log = take_last();
  if (in.has_heartbeat()) out.second.heartbeat = take_last();
  out.second.counters = take_last();
  out.second.listeners = std::move(fds);
  return out;
}

Result<std::pair<ProxySettings, Handover>> Receiver::receive_handover(int socket, std::chrono::milliseconds timeout) {
  auto received = receive_frame_with_descriptors(socket, kMaxHandoverBytes, timeout);
  if (!received) return received.error();
  return decode_handover(received->message, std::move(received->fds));
}

}  // namespace causeway::feed
