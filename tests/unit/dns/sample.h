#pragma once
// A snapshot with every kind of name.
#include <memory>
#include <string>

#include "model/snapshot.h"

namespace causeway::dns::test {

inline constexpr NamespaceNumber kOne{1}, kTwo{2}, kHttp{3};

inline IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

inline CloudMapInstance instance(std::string id, const char* v4, bool healthy = true, std::uint16_t port = 3000,
                                 const char* v6 = "::") {
  return {std::move(id), "", v4[0] != '\0' ? ip(v4) : IpAddress{}, ip(v6), port, healthy};
}

inline std::shared_ptr<CloudMapName> service(Snapshot& snapshot, std::string name, RoutingPolicy routing,
                                             std::vector<CloudMapRecord> records) {
  auto made = std::make_shared<CloudMapName>(CloudMapName{std::move(name), routing, std::move(records), {}});
  snapshot.cloud_map_names[made->name] = made;
  return made;
}

inline SnapshotPtr sample() {
  auto s = std::make_shared<Snapshot>();
  s->revision = Revision(42);
  s->namespaces[kOne] = {kOne, "myapp.local", true, 15};
  s->namespaces[kTwo] = {kTwo, "two.local", true, 20};
  s->namespaces[kHttp] = {kHttp, "http.only", false, 15};
  s->alias_names = {
      {"a.deep.myapp.local", kOne, ip("127.255.0.4"), ip("100::4")},  // deep.myapp.local has no records of its own
      {"both.myapp.local", kOne, ip("127.255.0.3"), ip("100::3")},    // a Cloud Map name too
      {"same", kOne, ip("127.255.0.5"), ip("100::5")},
      {"same", kTwo, ip("127.255.0.6"), ip("100::6")},
      {"user-svc", kOne, ip("127.255.0.1"), ip("100::1")},
      {"web", kTwo, ip("127.255.0.2"), ip("100::2")},
      {"web.http.only", kHttp, ip("127.255.0.7"), ip("100::7")},
  };
  auto ten = service(*s, "ten.myapp.local", RoutingPolicy::multivalue, {{RecordType::a, 17}});
  for (int i = 0; i < 10; ++i)
    ten->instances.push_back(instance("i-" + std::to_string(i), ("10.0.0." + std::to_string(i)).c_str()));
  auto mixed = service(*s, "mixed.myapp.local", RoutingPolicy::multivalue, {{RecordType::a, 10}});
  mixed->instances = {instance("good", "10.1.0.1"), instance("bad", "10.1.0.2", false)};
  auto sick = service(*s, "sick.myapp.local", RoutingPolicy::multivalue, {{RecordType::a, 10}});
  sick->instances = {instance("x", "10.2.0.1", false), instance("y", "10.2.0.2", false)};
  auto weighted =
      service(*s, "weighted.myapp.local", RoutingPolicy::weighted, {{RecordType::a, 10}, {RecordType::aaaa, 11}});
  weighted->instances = {instance("x", "10.3.0.1", true, 1, "fd00::1"), instance("y", "10.3.0.2"),
                         instance("z", "10.3.0.3", false)};
  auto srv = service(*s, "srv.myapp.local", RoutingPolicy::multivalue, {{RecordType::srv, 30}});
  srv->instances = {instance("one", "10.4.0.1", true, 8125, "fd00::4"), instance("two", "10.4.0.2", true, 8126)};
  auto cname = service(*s, "cname.myapp.local", RoutingPolicy::weighted, {{RecordType::cname, 60}});
  cname->instances = {instance("x", "")};
  cname->instances[0].cname = "www.Example.com";
  auto inner = service(*s, "inner.myapp.local", RoutingPolicy::weighted, {{RecordType::cname, 60}});
  inner->instances = {instance("x", "")};
  inner->instances[0].cname = "mixed.myapp.local";
  auto loop = service(*s, "loop.myapp.local", RoutingPolicy::weighted, {{RecordType::cname, 60}});
  loop->instances = {instance("x", "")};
  loop->instances[0].cname = "loop.myapp.local";
  service(*s, "empty.myapp.local", RoutingPolicy::multivalue, {{RecordType::a, 10}});
  service(*s, "api-only.myapp.local", RoutingPolicy::multivalue, {})->instances = {instance("x", "10.5.0.1")};
  service(*s, "both.myapp.local", RoutingPolicy::multivalue, {{RecordType::a, 10}})->instances = {
      instance("x", "10.6.0.1")};
  service(*s, "deep.service.two.local", RoutingPolicy::multivalue, {{RecordType::a, 10}})->instances = {
      instance("x", "10.7.0.1")};
  return s;
}

}  // namespace causeway::dns::test
