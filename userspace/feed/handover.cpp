#include "feed/handover.h"

#include <algorithm>

#include <fmt/core.h>

#include "feed/descriptors.h"
#include "feed/feed.pb.h"

namespace causeway::feed {
namespace {

constexpr std::size_t kMaxHandoverBytes = 4096;
constexpr unsigned kMaxWorkers = 1024;
constexpr std::uint64_t kMaxDurationMs = 24ull * 3600 * 1000;

}  // namespace

std::string encode_handover(const ProxySettings& settings, const Handover& handover) {
  wire::Handover out;
  out.set_workers(settings.workers);
  out.set_drain_ms(static_cast<std::uint64_t>(std::max<std::int64_t>(settings.drain.count(), 0)));
  out.set_listeners(static_cast<std::uint32_t>(handover.listeners.size()));
  out.set_has_heartbeat(static_cast<bool>(handover.heartbeat));
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
  const std::size_t expected = std::size_t{in.listeners()} + 1 + (in.has_heartbeat() ? 1 : 0);
  if (fds.size() != expected)
    return refused(fmt::format("{} descriptors came, {} were announced", fds.size(), expected));

  std::pair<ProxySettings, Handover> out;
  out.first.workers = in.workers();
  out.first.drain = std::chrono::milliseconds(in.drain_ms());
  if (in.has_heartbeat()) {
    out.second.heartbeat = std::move(fds.back());
    fds.pop_back();
  }
  out.second.counters = std::move(fds.back());
  fds.pop_back();
  out.second.listeners = std::move(fds);
  return out;
}

Result<std::pair<ProxySettings, Handover>> Receiver::receive_handover(int socket, std::chrono::milliseconds timeout) {
  auto received = receive_frame_with_descriptors(socket, kMaxHandoverBytes, timeout);
  if (!received) return received.error();
  return decode_handover(received->message, std::move(received->fds));
}

}  // namespace causeway::feed
