#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "model/snapshot.h"

namespace causeway::feed::test {

inline std::pair<Fd, Fd> socket_pair() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  return {Fd(ends[0]), Fd(ends[1])};
}

/// Runs handlers until `holds()`; false after ten seconds.
template <class Condition>
bool run_until(boost::asio::io_context& context, Condition holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    context.restart();
    context.run_one_for(std::chrono::milliseconds(100));
  }
  return true;
}

inline std::shared_ptr<const Service> service(std::uint32_t id, std::size_t endpoints = 2) {
  auto out = std::make_shared<Service>();
  out->id = ServiceId(id);
  out->namespace_number = NamespaceNumber(1);
  out->namespace_name = "myapp.local";
  out->discovery_name = "service-" + std::to_string(id);
  out->protocol = AppProtocol::http;
  out->settings.idle_timeout = std::chrono::minutes(7);
  out->settings.max_connections = id;
  for (std::size_t i = 0; i < endpoints; ++i) {
    Endpoint endpoint;
    endpoint.id = EndpointId(static_cast<std::uint32_t>(id * 100000 + i + 1));
    endpoint.instance_id = "task-" + std::to_string(i);
    endpoint.address = {IpAddress::v4(0x7ffe0000u + static_cast<std::uint32_t>(i)),
                        static_cast<std::uint16_t>(3000 + i % 1000)};
    endpoint.weight = static_cast<std::uint32_t>(1 + i % 3);
    endpoint.health = i % 2 == 0 ? Health::healthy : Health::draining;
    out->endpoints.push_back(endpoint);
  }
  out->access_log = {id % 2 == 0 ? AccessLogFormat::json : AccessLogFormat::off, id % 4 == 0};
  return out;
}

inline Alias alias(std::uint32_t number, std::uint16_t port = 80) {
  Alias out;
  out.namespace_number = NamespaceNumber(1);
  out.name = "service-" + std::to_string(number);
  out.vip4 = IpAddress::v4(0x7fff0000u + number);
  out.vip6 = *IpAddress::parse("100::" + std::to_string(number));
  out.port = port;
  out.service = ServiceId(number);
  return out;
}

/// Services 1..count, each with an alias.
inline std::shared_ptr<Snapshot> snapshot(std::uint64_t revision, std::uint32_t count, std::size_t endpoints = 2) {
  auto out = std::make_shared<Snapshot>();
  out->revision = Revision(revision);
  for (std::uint32_t id = 1; id <= count; ++id) {
    out->services[ServiceId(id)] = service(id, endpoints);
    out->aliases.change([&](auto& all) { all.push_back(alias(id)); });
    out->clients[ClientId(id)] = "client-" + std::to_string(id);
  }
  return out;
}

/// What the feed carries of two snapshots is the same.
inline void expect_same(const Snapshot& expected, const Snapshot& actual) {
  EXPECT_EQ(expected.revision, actual.revision);
  EXPECT_EQ(expected.aliases, actual.aliases);
  EXPECT_EQ(expected.clients, actual.clients);
  ASSERT_EQ(expected.services.size(), actual.services.size());
  for (const auto& [id, service] : expected.services) {
    ASSERT_TRUE(actual.services.contains(id));
    EXPECT_EQ(*service, *actual.services.at(id));
  }
}

}  // namespace causeway::feed::test
