#include "feed/codec.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "feed/feed.pb.h"
#include "feed/frame.h"
#include "model/settings_table.h"
#include "support.h"

namespace causeway::feed {
namespace {

SnapshotPtr apply_all(Applier& applier, const std::vector<std::string>& messages) {
  SnapshotPtr out;
  for (const auto& message : messages) {
    auto outcome = applier.apply(message);
    EXPECT_TRUE(outcome) << outcome.error().message();
    if (outcome) out = outcome->snapshot;
  }
  return out;
}

TEST(Delta, CarriesAWholeSnapshotTheFirstTime) {
  const auto sent = test::snapshot(7, 3);
  Applier applier;
  const auto got = apply_all(applier, encode_delta(nullptr, *sent));
  ASSERT_NE(got, nullptr);
  test::expect_same(*sent, *got);
}

TEST(Delta, CarriesEverySetting) {
  for (const Setting& row : settings_table()) {
    auto changed = std::make_shared<Service>(*test::service(1));
    row.set(changed->settings, row.get({}) == row.max ? row.min : row.max);
    auto sent = test::snapshot(1, 1);
    sent->services[ServiceId(1)] = changed;
    Applier applier;
    const auto got = apply_all(applier, encode_delta(nullptr, *sent));
    EXPECT_EQ(got->services.at(ServiceId(1))->settings, changed->settings) << row.name;
  }
}

TEST(Delta, ASettingOfANewerAgentIsPassedOver) {
  auto messages = encode_delta(nullptr, *test::snapshot(1, 1));
  wire::ToProxy message;
  ASSERT_TRUE(message.ParseFromString(messages[0]));
  auto& setting = *message.mutable_delta()->mutable_services(0)->add_settings();
  setting.set_key(4'000'000'000);
  setting.set_value(~0ull);
  Applier applier;
  const auto got = apply_all(applier, {message.SerializeAsString()});
  ASSERT_NE(got, nullptr);
  EXPECT_EQ(got->services.at(ServiceId(1))->settings, test::service(1)->settings);
}

TEST(Delta, CarriesAnEmptySnapshot) {
  Applier applier;
  const auto got = apply_all(applier, encode_delta(nullptr, *test::snapshot(1, 0)));
  ASSERT_NE(got, nullptr);
  EXPECT_EQ(got->revision, Revision(1));
}

TEST(Delta, SendsOnlyWhatChangedAndKeepsThePointersOfTheRest) {
  const auto first = test::snapshot(1, 50);
  auto second = std::make_shared<Snapshot>(*first);
  second->revision = Revision(2);
  second->services[ServiceId(3)] = test::service(3, 5);
  second->services.erase(ServiceId(4));
  second->aliases.change([](auto& all) {
    all.erase(all.begin() + 3);
    all[0].service = ServiceId(2);
  });
  second->clients.erase(ClientId(5));
  second->clients[ClientId(6)] = "renamed";
  second->clients[ClientId(60)] = "new";

  Applier applier;
  const auto before = apply_all(applier, encode_delta(nullptr, *first));
  const auto delta = encode_delta(first.get(), *second);
  ASSERT_EQ(delta.size(), 1u);
  EXPECT_LT(delta[0].size(), 1000u);
  const auto after = apply_all(applier, delta);
  test::expect_same(*second, *after);
  EXPECT_EQ(before->services.at(ServiceId(7)), after->services.at(ServiceId(7)));
  EXPECT_EQ(before->services.size(), 50u) << "the snapshot before was changed";
}

TEST(Delta, IsSplitIntoPartsThatAreActedOnTogether) {
  const auto sent = test::snapshot(9, 200, 500);
  const auto messages = encode_delta(nullptr, *sent);
  ASSERT_GT(messages.size(), 2u);
  Applier applier;
  for (std::size_t i = 0; i + 1 < messages.size(); ++i) {
    EXPECT_LT(messages[i].size(), kMaxFrameToProxy / 2);
    EXPECT_EQ(applier.apply(messages[i])->snapshot, nullptr);
    EXPECT_EQ(applier.current(), nullptr);
  }
  test::expect_same(*sent, *applier.apply(messages.back())->snapshot);
}

TEST(Applier, RefusesWhatCannotBe) {
  const auto refused = [](auto change) {
    wire::ToProxy message;
    auto& delta = *message.mutable_delta();
    delta.set_revision(1);
    delta.set_last(true);
    auto& service = *delta.add_services();
    service.set_id(1);
    auto& endpoint = *service.add_endpoints();
    endpoint.set_id(1);
    endpoint.set_ip(std::string(16, '\1'));
    endpoint.set_port(80);
    auto& alias = *delta.add_aliases();
    alias.set_vip4(std::string(16, '\1'));
    alias.set_vip6(std::string(16, '\1'));
    alias.set_port(80);
    EXPECT_TRUE(Applier().apply(message.SerializeAsString())) << "the unchanged message must be good";
    change(delta);
    Applier applier;
    const bool ok = applier.apply(message.SerializeAsString()).has_value();
    EXPECT_EQ(applier.current(), nullptr);
    return !ok;
  };
  EXPECT_TRUE(refused([](auto& d) { d.mutable_services(0)->set_id(0); }));
  EXPECT_TRUE(refused([](auto& d) { d.mutable_services(0)->set_protocol(99); }));
  EXPECT_TRUE(refused([](auto& d) { d.mutable_services(0)->set_access_log(3); }));
  EXPECT_TRUE(refused([](auto& d) {
    auto& setting = *d.mutable_services(0)->add_settings();
    setting.set_key(static_cast<std::uint32_t>(SettingKey::idle_timeout));
    setting.set_value(~0ull);
  }));
  EXPECT_TRUE(refused([](auto& d) { d.mutable_services(0)->mutable_endpoints(0)->set_ip("short"); }));
  EXPECT_TRUE(refused([](auto& d) { d.mutable_services(0)->mutable_endpoints(0)->set_port(0); }));
  EXPECT_TRUE(refused([](auto& d) { d.mutable_services(0)->mutable_endpoints(0)->set_port(65536); }));
  EXPECT_TRUE(refused([](auto& d) { d.mutable_services(0)->mutable_endpoints(0)->set_health(9); }));
  EXPECT_TRUE(refused([](auto& d) { *d.mutable_services(0)->add_endpoints() = d.services(0).endpoints(0); }));
  EXPECT_TRUE(refused([](auto& d) { d.mutable_aliases(0)->set_vip4("x"); }));
  EXPECT_TRUE(refused([](auto& d) { d.mutable_aliases(0)->set_port(70000); }));
  EXPECT_TRUE(refused([](auto& d) { d.add_removed_aliases(); }));
}

TEST(Applier, RefusesARevisionThatGoesBack) {
  Applier applier;
  ASSERT_TRUE(applier.apply(encode_delta(nullptr, *test::snapshot(5, 1))[0]));
  EXPECT_FALSE(applier.apply(encode_delta(nullptr, *test::snapshot(4, 1))[0]));
  EXPECT_EQ(applier.current()->revision, Revision(5));
}

TEST(Applier, SurvivesRandomAndDamagedMessages) {
  FastRandom random(42);
  const auto good = encode_delta(nullptr, *test::snapshot(3, 4))[0];
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = round % 2 == 0 ? good : std::string(random.below(200), '\0');
    const auto changes = round % 2 == 0 ? 1 + random.below(4) : bytes.size();
    for (std::uint64_t i = 0; i < changes && !bytes.empty(); ++i) {
      bytes[round % 2 == 0 ? random.below(bytes.size()) : i] = static_cast<char>(random.next());
    }
    if (round % 3 == 0) bytes.resize(random.below(bytes.size() + 1));
    Applier applier;
    const auto outcome = applier.apply(bytes);
    if (!outcome) {
      EXPECT_FALSE(outcome.error().message().empty());
    }
    (void)decode_acknowledgement(bytes);
  }
}

TEST(FrameReader, JoinsWhatCameInPiecesAndSplitsWhatCameTogether) {
  std::string stream;
  ASSERT_TRUE(append_frame(stream, "one", 10));
  ASSERT_TRUE(append_frame(stream, "second", 10));
  FrameReader reader(10);
  std::vector<std::string> got;
  for (const char c : stream) {
    reader.feed(std::string_view(&c, 1));
    for (auto frame = reader.next(); *frame; frame = reader.next()) got.emplace_back(**frame);
  }
  EXPECT_EQ(got, (std::vector<std::string>{"one", "second"}));
  reader.feed(stream);
  EXPECT_EQ(**reader.next(), "one");
  EXPECT_EQ(**reader.next(), "second");
  EXPECT_FALSE(*reader.next());
}

TEST(FrameReader, RefusesLengthsBeyondTheLimitAndZero) {
  FrameReader large(10);
  large.feed(std::string_view("\0\0\0\x0b", 4));
  EXPECT_FALSE(large.next());
  FrameReader empty(10);
  empty.feed(std::string_view("\0\0\0\0", 4));
  EXPECT_FALSE(empty.next());
  std::string out;
  EXPECT_FALSE(append_frame(out, "elevenbytes", 10));
  EXPECT_FALSE(append_frame(out, "", 10));
}

}  // namespace
}  // namespace causeway::feed
