// Maps that are full, and maps of another size than asked for: what is there is served on.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>

#include "base/fd.h"
#include "causeway/abi/config.h"
#include "host.h"

namespace causeway::test {
namespace {

class FullMaps : public Host {
 protected:
  std::string dial(const std::string& dst) {
    return in_cgroup(host, [&] { return dial_tcp(at(dst), AF_INET); });
  }
  /// On the kernel path, with so many endpoints, the first of them at `first`.
  void serve(std::uint32_t id, std::uint32_t count, const std::string& first, std::uint16_t port = 3000) {
    std::vector<std::string> endpoints{first};
    for (std::uint32_t i = 1; i < count; ++i) endpoints.push_back(fmt::format("127.254.{}.{}:{}", id, i + 1, port));
    auto made = std::make_shared<Service>(*service(id, id / 10, endpoints));
    made->settings.path = ServicePath::kernel;
    snapshot.services[ServiceId(id)] = made;
  }
  /// Publishes what cannot all be written; the message.
  std::string refused() {
    const Revision before = plane->acknowledged();
    ++snapshot.revision.value;
    plane->publish(std::make_shared<Snapshot>(snapshot));
    EXPECT_EQ(plane->acknowledged(), before);
    return plane->last_error() ? plane->last_error()->message() : "no error";
  }
  static bool says(const std::string& message, const std::vector<std::string>& parts) {
    return std::all_of(parts.begin(), parts.end(),
                       [&](const std::string& part) { return message.find(part) != std::string::npos; });
  }
  __u32 entries_of(const std::string& map) const {
    const Fd fd(bpf_obj_get(fmt::format("{}/maps-{}/{}", pin_root, CW_ABI_VERSION, map).c_str()));
    bpf_map_info info{};
    __u32 size = sizeof info;
    return bpf_obj_get_info_by_fd(fd.get(), &info, &size) == 0 ? info.max_entries : 0;
  }
};

TEST_F(FullMaps, AliasesThatDoNotFitAreToldAndTheOthersStay) {
  sizes.aliases = 8;
  start();
  const auto before = snapshot.aliases;
  snapshot.aliases.change([&](std::vector<Alias>& all) {
    for (std::uint32_t i = 0; i < 9; ++i) {
      Alias alias = before[0];
      alias.vip4 = IpAddress::v4(0x7fff1000 + i);
      alias.vip6 = *IpAddress::parse(fmt::format("100::1:{:x}", i));
      all.push_back(alias);
    }
  });
  const std::string message = refused();
  EXPECT_TRUE(says(message, {"aliases", "16", "kernel.max_aliases"})) << message;
  EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80");
  snapshot.aliases = before;
  publish();
  EXPECT_FALSE(plane->last_error()) << "room again";
}

TEST_F(FullMaps, AServiceThatDoesNotFitKeepsItsEndpointsAndOthersAreFollowed) {
  sizes.endpoints = 8;
  start();
  const Fd one = listener_on(at("127.254.10.1:3000"));
  const Fd two = listener_on(at("127.254.20.1:3000"));
  serve(10, 1, "127.254.10.1:3000");
  serve(20, 1, "127.254.20.1:3000");
  publish();
  serve(20, 9, "127.254.20.1:3001");
  std::string message = refused();
  EXPECT_TRUE(says(message, {"endpoint_states", "8 endpoints", "kernel.max_endpoints"})) << message;
  EXPECT_EQ(dial("127.255.0.20:80"), "ok 127.255.0.20:80");
  EXPECT_FALSE(nothing_waits(two)) << "its old endpoint, until the new ones fit";
  EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80");
  EXPECT_FALSE(nothing_waits(one));

  const Fd other = listener_on(at("127.254.10.9:3000"));
  serve(10, 1, "127.254.10.9:3000");
  message = refused();
  EXPECT_TRUE(says(message, {"endpoint_states", "kernel.max_endpoints"})) << message;
  EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80");
  EXPECT_FALSE(nothing_waits(other)) << "a service that fits is followed";

  const Fd fits = listener_on(at("127.254.20.1:3001"));
  serve(20, 1, "127.254.20.1:3001");
  publish();
  EXPECT_EQ(dial("127.255.0.20:80"), "ok 127.255.0.20:80");
  EXPECT_FALSE(nothing_waits(fits)) << "room again";
}

TEST_F(FullMaps, AServiceThatDoesNotFitTakesNoRoomFromOthers) {
  sizes.endpoints = 8;
  start();
  const Fd two = listener_on(at("127.254.20.2:3000"));
  serve(10, 9, "127.254.10.1:3000");
  const std::string message = refused();
  EXPECT_TRUE(says(message, {"endpoint_states"})) << message;
  serve(20, 8, "127.254.20.1:3000");
  EXPECT_NE(refused(), "no error");
  const std::string said = in_cgroup(host, [&] {
    std::string all;
    for (int i = 0; i < 8; ++i) all += dial_tcp(at("127.255.0.20:80"), AF_INET).substr(0, 2);
    return all;
  });
  EXPECT_NE(said.find("ok"), std::string::npos) << said;
  EXPECT_FALSE(nothing_waits(two));
}

TEST_F(FullMaps, RowsThatDoNotFitDuringAChangeLeaveTheOldOnes) {
  sizes.endpoints = 8;
  start();
  serve(10, 8, "127.254.10.1:3000");
  publish();
  // Sixteen rows: eight stand, and of the next eight with one more nothing may be left.
  const Fd old = listener_on(at("127.254.10.1:3000"));
  for (std::uint16_t round = 1; round <= 5; ++round) {
    serve(10, 8, "127.254.10.1:3000", static_cast<std::uint16_t>(3000 + round));
    publish();
  }
  EXPECT_FALSE(plane->last_error());
}

TEST_F(FullMaps, AServiceBeyondTheLimitIsTakenToTheProxy) {
  sizes.services = 1;
  snapshot.services.erase(ServiceId(20));
  start();
  serve(20, 1, "127.254.20.1:3000");
  const std::string message = refused();
  EXPECT_TRUE(says(message, {"service", "limit is 1 services", "kernel.max_services"})) << message;
  EXPECT_EQ(dial("127.255.0.20:80"), "ok 127.255.0.20:80");
  EXPECT_FALSE(nothing_waits(proxy_v4));
  snapshot.services.erase(ServiceId(10));
  publish();
  EXPECT_FALSE(plane->last_error()) << "room again";
}

TEST_F(FullMaps, MapsOfAnEarlierAgentKeepTheirSizeAndServe) {
  sizes.endpoints = 64;
  start();
  const Fd endpoint = listener_on(at("127.254.10.1:3000"));
  serve(10, 1, "127.254.10.1:3000");
  publish();
  EXPECT_EQ(entries_of("endpoint_states"), 64u);
  plane.reset();
  sizes.endpoints = 1000;
  sizes.aliases = 99;
  auto started = kernel::Plane::start(options());
  ASSERT_TRUE(started) << started.error().message();
  plane = std::move(*started);
  EXPECT_EQ(dial("127.255.0.10:80"), "ok 127.255.0.10:80") << "before anything is published";
  EXPECT_FALSE(nothing_waits(endpoint));
  EXPECT_EQ(entries_of("endpoint_states"), 64u);
  serve(10, 65, "127.254.10.1:3000");
  const std::string message = refused();
  EXPECT_TRUE(says(message, {"64 endpoints", "kernel.max_endpoints"})) << message;

  ASSERT_TRUE(plane->stop());
  plane.reset();
  started = kernel::Plane::start(options());
  ASSERT_TRUE(started) << started.error().message();
  plane = std::move(*started);
  EXPECT_EQ(entries_of("endpoint_states"), 1000u);
  EXPECT_EQ(entries_of("aliases"), 198u);
  publish();
}

}  // namespace
}  // namespace causeway::test
