#include "agent/data_path.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace causeway::agent {
namespace {

using ::testing::ElementsAre;

std::string describe(const SnapshotPtr& snapshot) {
  std::string text = std::to_string(snapshot->revision.value) + ":";
  for (const auto& name : snapshot->alias_names) text += " " + name.name;
  for (const auto& [name, _] : snapshot->cloud_map_names) text += " " + name;
  return text;
}

class Recorder final : public SnapshotSink {
 public:
  Recorder(std::string name, std::vector<std::string>& log) : name_(std::move(name)), log_(log) {}
  void publish(SnapshotPtr snapshot) override {
    log_.push_back(name_ + " " + describe(snapshot));
    acknowledged_ = snapshot->revision;
  }
  Revision acknowledged() const override { return acknowledged_; }

 private:
  std::string name_;
  std::vector<std::string>& log_;
  Revision acknowledged_;
};

SnapshotPtr snapshot(std::uint64_t revision, std::vector<std::string> names, std::vector<std::string> cloud_map = {}) {
  auto made = std::make_shared<Snapshot>();
  made->revision = Revision{revision};
  made->alias_names.change([&](std::vector<AliasName>& all) {
    for (auto& name : names) all.push_back({name, NamespaceNumber{1}, {}, {}});
  });
  for (auto& name : cloud_map) made->cloud_map_names[name] = std::make_shared<CloudMapName>();
  return made;
}

class DataPathTest : public ::testing::Test {
 protected:
  std::vector<std::string> log;
  Recorder kernel{"kernel", log};
  Recorder dns{"dns", log};
  bool alive = true;
  DataPath path{{[this](SnapshotPtr s) { log.push_back("proxy " + describe(s)); }, [this] { return alive; }, &kernel,
                 &dns, [this](Revision r) { log.push_back("reached " + std::to_string(r.value)); }}};
};

TEST_F(DataPathTest, AdditionsReachTheDataPathBeforeTheNames) {
  path.publish(snapshot(1, {"a"}, {"x.local"}));
  EXPECT_THAT(log, ElementsAre("dns 1:", "proxy 1: a x.local"));
  log.clear();
  path.proxy_acknowledged(Revision{1});
  EXPECT_THAT(log, ElementsAre("kernel 1: a x.local", "dns 1: a x.local", "reached 1"));
}

TEST_F(DataPathTest, RemovalsLeaveTheNamesFirst) {
  path.publish(snapshot(1, {"a", "b"}));
  path.proxy_acknowledged(Revision{1});
  log.clear();
  path.publish(snapshot(2, {"b", "c"}));
  EXPECT_THAT(log, ElementsAre("dns 2: b", "proxy 2: b c"));
  path.proxy_acknowledged(Revision{2});
  EXPECT_EQ(log.back(), "reached 2");
  EXPECT_EQ(log[3], "dns 2: b c");
}

TEST_F(DataPathTest, AnOlderAcknowledgementDoesNotBringBackARemovedName) {
  path.publish(snapshot(1, {"a"}));
  path.publish(snapshot(2, {"b"}));
  log.clear();
  path.proxy_acknowledged(Revision{1});
  EXPECT_THAT(log, ElementsAre("kernel 1: a", "dns 1:", "reached 1"));
  log.clear();
  path.proxy_acknowledged(Revision{2});
  EXPECT_THAT(log, ElementsAre("kernel 2: b", "dns 2: b", "reached 2"));
}

TEST_F(DataPathTest, WhatTheProxyTookWithItReachesTheKernel) {
  path.publish(snapshot(1, {"a"}));
  path.publish(snapshot(2, {"a", "b"}));
  log.clear();
  alive = false;
  path.proxy_ended();
  EXPECT_THAT(log, ElementsAre("kernel 2: a b", "dns 2: a b"));
  log.clear();
  alive = true;
  path.proxy_acknowledged(Revision{2});
  EXPECT_EQ(log.back(), "reached 2");
  log.clear();
  path.proxy_ended();
  EXPECT_TRUE(log.empty());
}

TEST_F(DataPathTest, TellsWhenTheKernelActs) {
  path.publish(snapshot(1, {"a"}));
  path.when_kernel_acts(Revision{1}, [this] { log.push_back("kernel acts on 1"); });
  path.when_kernel_acts(Revision{2}, [this] { log.push_back("kernel acts on 2"); });
  log.clear();
  path.proxy_acknowledged(Revision{1});
  EXPECT_THAT(log, ElementsAre("kernel 1: a", "kernel acts on 1", "dns 1: a", "reached 1"));
  path.when_kernel_acts(Revision{1}, [this] { log.push_back("at once"); });
  EXPECT_EQ(log.back(), "at once");
}

TEST_F(DataPathTest, WithoutAProxyTheKernelGoesOnButNothingCountsAsReached) {
  alive = false;
  path.publish(snapshot(1, {"a"}));
  path.publish(snapshot(2, {"a", "b"}));
  EXPECT_THAT(log, ElementsAre("dns 1:", "proxy 1: a", "kernel 1: a", "dns 1: a", "dns 2: a", "proxy 2: a b",
                               "kernel 2: a b", "dns 2: a b"));
  log.clear();
  alive = true;
  path.proxy_acknowledged(Revision{2});
  EXPECT_THAT(log, ElementsAre("kernel 2: a b", "dns 2: a b", "reached 2"));
}

}  // namespace
}  // namespace causeway::agent
