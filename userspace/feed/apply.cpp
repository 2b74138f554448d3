#include <algorithm>
#include <limits>
#include <tuple>

#include <fmt/core.h>

#include "feed/codec.h"
#include "feed/feed.pb.h"
#include "model/settings_table.h"

namespace causeway::feed {
namespace {

Error malformed(std::string_view subject, std::string_view cause) {
  return make_error("apply feed", subject, cause);
}

bool fits_int(std::size_t size) {
  return size <= static_cast<std::size_t>(std::numeric_limits<int>::max());
}

bool get_ip(const std::string& bytes, IpAddress& ip) {
  std::array<std::uint8_t, 16> raw{};
  if (bytes.size() != raw.size()) return false;
  std::copy(bytes.begin(), bytes.end(), raw.begin());
  ip = IpAddress::v6(raw);
  return true;
}

Result<Endpoint> get_endpoint(const wire::Endpoint& in) {
  Endpoint out;
  out.id = EndpointId(in.id());
  out.instance_id = in.instance_id();
  const auto subject = fmt::format("endpoint {} (\"{}\")", in.id(), in.instance_id());
  if (in.id() == 0) return malformed(subject, "its number is 0");
  if (!get_ip(in.ip(), out.address.ip)) return malformed(subject, "its address is not 16 bytes");
  if (in.port() == 0 || in.port() > 65535) return malformed(subject, fmt::format("port {}", in.port()));
  out.address.port = static_cast<std::uint16_t>(in.port());
  out.weight = in.weight();
  if (in.health() > static_cast<std::uint32_t>(Health::draining)) {
    return malformed(subject, fmt::format("unknown health {}", in.health()));
  }
  out.health = static_cast<Health>(in.health());
  return out;
}

Result<std::shared_ptr<const Service>> get_service(const wire::Service& in) {
  auto out = std::make_shared<Service>();
  const auto subject = fmt::format("service {} (\"{}\")", in.id(), in.discovery_name());
  if (in.id() == 0) return malformed(subject, "its number is 0");
  out->id = ServiceId(in.id());
  out->namespace_number = NamespaceNumber(in.namespace_number());
  out->namespace_name = in.namespace_name();
  out->discovery_name = in.discovery_name();
  if (in.protocol() > static_cast<std::uint32_t>(AppProtocol::tcp)) {
    return malformed(subject, fmt::format("unknown protocol {}", in.protocol()));
  }
  out->protocol = static_cast<AppProtocol>(in.protocol());
  for (const auto& s : in.settings()) {
    const Setting* setting = find_setting(s.key());
    if (setting == nullptr) continue;  // of a newer agent
    if (!fits(*setting, s.value())) {
      return malformed(subject, fmt::format("setting {} is {}", setting->name, s.value()));
    }
    setting->set(out->settings, s.value());
  }
  if (in.access_log() > static_cast<std::uint32_t>(AccessLogFormat::json)) {
    return malformed(subject, fmt::format("unknown access log format {}", in.access_log()));
  }
  out->access_log = {static_cast<AccessLogFormat>(in.access_log()), in.access_log_query()};
  out->endpoints.reserve(static_cast<std::size_t>(in.endpoints_size()));
  for (const auto& e : in.endpoints()) {
    auto endpoint = get_endpoint(e);
    if (!endpoint) return endpoint.error();
    if (!out->endpoints.empty() && !(out->endpoints.back().id < endpoint->id)) {
      return malformed(subject, "its endpoints are not ordered by number");
    }
    out->endpoints.push_back(std::move(*endpoint));
  }
  return std::shared_ptr<const Service>(std::move(out));
}

Result<Alias> get_alias(const wire::Alias& in) {
  Alias out;
  const auto subject = fmt::format("alias \"{}\"", in.name());
  out.namespace_number = NamespaceNumber(in.namespace_number());
  out.name = in.name();
  if (!get_ip(in.vip4(), out.vip4) || !get_ip(in.vip6(), out.vip6))
    return malformed(subject, "an address is not 16 bytes");
  if (in.port() == 0 || in.port() > 65535) return malformed(subject, fmt::format("port {}", in.port()));
  out.port = static_cast<std::uint16_t>(in.port());
  out.service = ServiceId(in.service());
  return out;
}

auto key(const Alias& alias) {
  return std::tie(alias.vip4, alias.vip6, alias.port);
}

struct AliasOrder {
  bool operator()(const Alias& a, const Alias& b) const { return key(a) < key(b); }
};

/// Merges the changed aliases into `aliases`, which is ordered by key() and stays so.
Result<void> apply_aliases(std::vector<Alias>& aliases, const wire::Delta& delta) {
  for (const auto& k : delta.removed_aliases()) {
    Alias probe;
    if (!get_ip(k.vip4(), probe.vip4) || !get_ip(k.vip6(), probe.vip6) || k.port() > 65535) {
      return malformed("removed alias", "its key is malformed");
    }
    probe.port = static_cast<std::uint16_t>(k.port());
    const auto range = std::equal_range(aliases.begin(), aliases.end(), probe, AliasOrder{});
    aliases.erase(range.first, range.second);
  }
  // Appended and merged once: inserting one by one would be quadratic for a first snapshot.
  std::vector<Alias> fresh;
  fresh.reserve(static_cast<std::size_t>(delta.aliases_size()));
  for (const auto& a : delta.aliases()) {
    auto alias = get_alias(a);
    if (!alias) return alias.error();
    const auto it = std::lower_bound(aliases.begin(), aliases.end(), *alias, AliasOrder{});
    if (it != aliases.end() && key(*it) == key(*alias)) {
      *it = std::move(*alias);
    } else {
      fresh.push_back(std::move(*alias));
    }
  }
  std::sort(fresh.begin(), fresh.end(), AliasOrder{});
  const auto middle =
      aliases.insert(aliases.end(), std::make_move_iterator(fresh.begin()), std::make_move_iterator(fresh.end()));
  std::inplace_merge(aliases.begin(), middle, aliases.end(), AliasOrder{});
  return {};
}

}  // namespace

Result<Applier::Outcome> Applier::apply(std::string_view message) {
  wire::ToProxy in;
  if (!fits_int(message.size()) || !in.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return malformed("message", "it is not a message of this feed");
  }
  if (in.kind_case() == wire::ToProxy::kDrain) return Outcome{nullptr, true};
  if (in.kind_case() != wire::ToProxy::kDelta) return malformed("message", "its kind is unknown");
  const auto& delta = in.delta();
  const Revision revision(delta.revision());
  if (next_ == nullptr) {
    next_ = current_ != nullptr ? std::make_unique<Snapshot>(*current_) : std::make_unique<Snapshot>();
    if (current_ != nullptr && revision < current_->revision) {
      return malformed("delta", fmt::format("revision {} after {}", revision.value, current_->revision.value));
    }
    next_->revision = revision;
  } else if (next_->revision != revision) {
    return malformed("delta",
                     fmt::format("a part of revision {} amid revision {}", revision.value, next_->revision.value));
  }
  for (const auto& s : delta.services()) {
    auto service = get_service(s);
    if (!service) return service.error();
    next_->services[(*service)->id] = std::move(*service);
  }
  for (const auto id : delta.removed_services()) next_->services.erase(ServiceId(id));
  if (delta.aliases_size() != 0 || delta.removed_aliases_size() != 0) {
    Result<void> applied;
    next_->aliases.change([&](std::vector<Alias>& aliases) { applied = apply_aliases(aliases, delta); });
    if (!applied) return applied.error();
  }
  for (const auto& client : delta.clients()) next_->clients[ClientId(client.id())] = client.name();
  for (const auto id : delta.removed_clients()) next_->clients.erase(ClientId(id));
  if (!delta.last()) return Outcome{};
  current_ = std::move(next_);
  return Outcome{current_, false};
}

Result<Revision> decode_acknowledgement(std::string_view message) {
  wire::ToAgent in;
  if (!fits_int(message.size()) || !in.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return make_error("read", "acknowledgement", "it is not a message of this feed");
  }
  if (!in.has_acknowledged()) return make_error("read", "acknowledgement", "it names no revision");
  return Revision(in.acknowledged());
}

}  // namespace causeway::feed
