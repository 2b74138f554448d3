#include <algorithm>
#include <tuple>

#include "feed/codec.h"
#include "feed/feed.pb.h"
#include "feed/frame.h"
#include "model/settings_table.h"

namespace causeway::feed {
namespace {

/// A part is closed once it has grown to this; the largest service fits behind it into kMaxFrameToProxy.
constexpr std::size_t kPartBytes = 1u << 20;

void put_ip(std::string* out, const IpAddress& ip) {
  out->assign(reinterpret_cast<const char*>(ip.bytes().data()), ip.bytes().size());
}

void put(wire::Service& out, const Service& service) {
  out.set_id(service.id.value);
  out.set_namespace_number(service.namespace_number.value);
  out.set_namespace_name(service.namespace_name);
  out.set_discovery_name(service.discovery_name);
  out.set_protocol(static_cast<std::uint32_t>(service.protocol));
  for (const Setting& setting : settings_table()) {
    auto& s = *out.add_settings();
    s.set_key(static_cast<std::uint32_t>(setting.key));
    s.set_value(setting.get(service.settings));
  }
  out.set_access_log(static_cast<std::uint32_t>(service.access_log.format));
  out.set_access_log_query(service.access_log.query);
  out.mutable_endpoints()->Reserve(static_cast<int>(service.endpoints.size()));
  for (const Endpoint& endpoint : service.endpoints) {
    auto& e = *out.add_endpoints();
    e.set_id(endpoint.id.value);
    e.set_instance_id(endpoint.instance_id);
    put_ip(e.mutable_ip(), endpoint.address.ip);
    e.set_port(endpoint.address.port);
    e.set_weight(endpoint.weight);
    e.set_health(static_cast<std::uint32_t>(endpoint.health));
  }
}

void put(wire::Alias& out, const Alias& alias) {
  out.set_namespace_number(alias.namespace_number.value);
  out.set_name(alias.name);
  put_ip(out.mutable_vip4(), alias.vip4);
  put_ip(out.mutable_vip6(), alias.vip6);
  out.set_port(alias.port);
  out.set_service(alias.service.value);
}

auto alias_key(const Alias* alias) {
  return std::tie(alias->vip4, alias->vip6, alias->port);
}

std::vector<const Alias*> sorted_aliases(const Snapshot* snapshot) {
  std::vector<const Alias*> out;
  if (snapshot == nullptr) return out;
  out.reserve(snapshot->aliases.size());
  for (const Alias& alias : snapshot->aliases) out.push_back(&alias);
  std::sort(out.begin(), out.end(), [](auto* a, auto* b) { return alias_key(a) < alias_key(b); });
  return out;
}

class Parts {
 public:
  explicit Parts(Revision revision) : revision_(revision) {}

  wire::Delta& open() {
    if (bytes_ >= kPartBytes) close(false);
    return *message_.mutable_delta();
  }
  void added(std::size_t bytes) { bytes_ += bytes; }

  std::vector<std::string> finish() {
    close(true);
    return std::move(done_);
  }

 private:
  void close(bool last) {
    auto& delta = *message_.mutable_delta();
    delta.set_revision(revision_.value);
    delta.set_last(last);
    done_.push_back(message_.SerializeAsString());
    message_.Clear();
    bytes_ = 0;
  }

  Revision revision_;
  wire::ToProxy message_;
  std::size_t bytes_ = 0;
  std::vector<std::string> done_;
};

void encode_services(Parts& parts, const Snapshot* before, const Snapshot& after) {
  using Ptr = std::shared_ptr<const Service>;
  static const decltype(Snapshot::services) kNone;
  for_each_difference(before != nullptr ? before->services : kNone, after.services,
                      [&parts](ServiceId id, const Ptr* was, const Ptr* is) {
                        if (is == nullptr) {
                          parts.open().add_removed_services(id.value);
                          parts.added(4);
                        } else if (was == nullptr || **was != **is) {
                          auto& out = *parts.open().add_services();
                          put(out, **is);
                          parts.added(out.ByteSizeLong());
                        }
                      });
}

void encode_aliases(Parts& parts, const Snapshot* before, const Snapshot& after) {
  if (before != nullptr && before->aliases.same_as(after.aliases)) return;
  const auto old = sorted_aliases(before);
  const auto now = sorted_aliases(&after);
  auto o = old.begin();
  auto n = now.begin();
  const auto add = [&parts](const Alias* alias) {
    auto& out = *parts.open().add_aliases();
    put(out, *alias);
    parts.added(out.ByteSizeLong());
  };
  const auto remove = [&parts](const Alias* alias) {
    auto& out = *parts.open().add_removed_aliases();
    put_ip(out.mutable_vip4(), alias->vip4);
    put_ip(out.mutable_vip6(), alias->vip6);
    out.set_port(alias->port);
    parts.added(out.ByteSizeLong());
  };
  while (o != old.end() || n != now.end()) {
    if (n == now.end() || (o != old.end() && alias_key(*o) < alias_key(*n))) {
      remove(*o++);
    } else if (o == old.end() || alias_key(*n) < alias_key(*o)) {
      add(*n++);
    } else {
      if (**o != **n) add(*n);
      ++o;
      ++n;
    }
  }
}

void encode_clients(Parts& parts, const Snapshot* before, const Snapshot& after) {
  static const decltype(Snapshot::clients) kNone;
  for_each_difference(before != nullptr ? before->clients : kNone, after.clients,
                      [&parts](ClientId id, const std::string* /*was*/, const std::string* is) {
                        if (is == nullptr) {
                          parts.open().add_removed_clients(id.value);
                          parts.added(4);
                          return;
                        }
                        auto& out = *parts.open().add_clients();
                        out.set_id(id.value);
                        out.set_name(*is);
                        parts.added(out.ByteSizeLong());
                      });
}

}  // namespace

std::vector<std::string> encode_delta(const Snapshot* before, const Snapshot& after) {
  Parts parts(after.revision);
  encode_services(parts, before, after);
  encode_aliases(parts, before, after);
  encode_clients(parts, before, after);
  return parts.finish();
}

std::string encode_drain() {
  wire::ToProxy message;
  message.mutable_drain();
  return message.SerializeAsString();
}

std::string encode_acknowledgement(Revision revision) {
  wire::ToAgent message;
  message.set_acknowledged(revision.value);
  return message.SerializeAsString();
}

}  // namespace causeway::feed
