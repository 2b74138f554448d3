// One call, one transaction, one revision; and what happens when the store says no.
#include "control/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api_world.h"

namespace causeway::control::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// The real store, with faults that a test switches on.
class FaultyStore final : public store::Store {
 public:
  explicit FaultyStore(store::Store& real) : real_(real) {}
  bool full = false;
  std::function<void()> before_commit;  ///< another agent's turn

  Revision revision() const override { return real_.revision(); }
  Result<std::vector<store::Entry>> range(std::string_view prefix) const override { return real_.range(prefix); }
  Result<store::Committed> commit(const store::Transaction& transaction) override {
    if (full) return make_error("write the store", "/x/causeway.db", "the disk is full");
    if (before_commit) std::exchange(before_commit, nullptr)();
    return real_.commit(transaction);
  }
  Result<std::uint64_t> watch(Revision from, store::Watcher watcher) override {
    return real_.watch(from, std::move(watcher));
  }
  void cancel(std::uint64_t id) override { real_.cancel(id); }
  Result<void> compact(Revision revision) override { return real_.compact(revision); }

 private:
  store::Store& real_;
};

class ControllerTest : public testing::Test {
 protected:
  ControllerTest() : real_(std::move(*store::SqliteStore::open(directory_.file("causeway.db")))), store_(*real_) {
    settings_.alias_v4 = *IpPrefix::parse("127.255.0.0/16");
    settings_.alias_v6 = *IpPrefix::parse("100::/64");
    settings_.task_v4 = *IpPrefix::parse("127.254.0.0/16");
    controller_.emplace(store_, settings_, clock_, random_);
    EXPECT_TRUE(controller_->start());
    controller_->on_snapshot([this](SnapshotPtr snapshot) { published_.push_back(snapshot->revision.value); });
    controller_->on_change([this](const auto& events) { changes_.push_back(events.size()); });
  }
  ApiResult run(const char* operation, const std::string& input) {
    return controller_->run(operations_.at(operation), json::parse(quoted(input)).as_object());
  }
  std::string operation_of(const ApiResult& result) {
    EXPECT_FALSE(result.error) << (result.error ? result.error->message : "");
    return result.error ? "" : std::string(result.body.at("OperationId").as_string());
  }
  std::string status(const std::string& id) const { return controller_->state().operations.at(id).status; }

  causeway::test::TemporaryDirectory directory_;
  std::unique_ptr<store::SqliteStore> real_;
  FaultyStore store_;
  Settings settings_;
  ManualClock clock_;
  FastRandom random_{3};
  std::optional<Controller> controller_;
  Operations operations_ = service_discovery_operations();
  std::vector<std::uint64_t> published_;
  std::vector<std::size_t> changes_;
};

TEST_F(ControllerTest, ACallIsOneRevisionAndReadsAreNone) {
  operation_of(run("CreateHttpNamespace", "{'Name':'a'}"));
  EXPECT_EQ(real_->revision(), Revision(1));
  EXPECT_EQ(controller_->state().revision(), Revision(1));
  EXPECT_EQ(changes_.size(), 1u);
  run("ListNamespaces", "{}");
  run("CreateHttpNamespace", "{'Name':'a'}");
  EXPECT_EQ(real_->revision(), Revision(1));
}

TEST_F(ControllerTest, OperationsEndWhenTheDataPathActsOnThem) {
  const auto id = operation_of(run("CreateHttpNamespace", "{'Name':'a'}"));
  ASSERT_EQ(published_.size(), 1u);
  EXPECT_EQ(status(id), "PENDING");
  controller_->acknowledged(Revision(0));
  EXPECT_EQ(status(id), "PENDING");
  controller_->acknowledged(Revision(published_.back()));
  EXPECT_EQ(status(id), "SUCCESS");
  EXPECT_EQ(published_.size(), 1u) << "the end of an operation is nothing that the data path sees";
}

TEST_F(ControllerTest, AnAcknowledgementFromWithinThePublicationCounts) {
  controller_->on_snapshot([this](SnapshotPtr snapshot) { controller_->acknowledged(snapshot->revision); });
  EXPECT_EQ(status(operation_of(run("CreateHttpNamespace", "{'Name':'a'}"))), "SUCCESS");
}

TEST_F(ControllerTest, WhatTheDataPathNeverTakesFails) {
  const auto id = operation_of(run("CreateHttpNamespace", "{'Name':'a'}"));
  controller_->fail_unacknowledged(std::chrono::seconds(30));
  EXPECT_EQ(status(id), "PENDING");
  clock_.advance(std::chrono::seconds(31));
  controller_->fail_unacknowledged(std::chrono::seconds(30));
  EXPECT_EQ(status(id), "FAIL");
  EXPECT_THAT(controller_->state().operations.at(id).error_message, HasSubstr("causeway doctor"));
  controller_->acknowledged(Revision(100));
  EXPECT_EQ(status(id), "FAIL");
}

TEST_F(ControllerTest, PendingOperationsOutliveARestart) {
  const auto id = operation_of(run("CreateHttpNamespace", "{'Name':'a'}"));
  controller_.emplace(store_, settings_, clock_, random_);
  ASSERT_TRUE(controller_->start());
  EXPECT_EQ(status(id), "PENDING");
  controller_->acknowledged(controller_->snapshot()->revision);
  EXPECT_EQ(status(id), "SUCCESS");
}

TEST_F(ControllerTest, AFullDiskAnswers500AndChangesNothing) {
  const auto pending = operation_of(run("CreateHttpNamespace", "{'Name':'a'}"));
  store_.full = true;
  const auto refused = run("CreateHttpNamespace", "{'Name':'b'}");
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->status, 500u);
  EXPECT_EQ(refused.error->type, "InternalFailure");
  EXPECT_THAT(refused.error->message, AllOf(HasSubstr("Nothing was changed"), HasSubstr("the disk is full")));
  EXPECT_EQ(controller_->state().find_namespace_by_name("b"), nullptr);
  controller_->acknowledged(Revision(published_.back()));
  EXPECT_EQ(status(pending), "PENDING");
  store_.full = false;
  operation_of(run("CreateHttpNamespace", "{'Name':'b'}"));
  EXPECT_EQ(status(pending), "SUCCESS") << "its end is written once there is room";
}

TEST_F(ControllerTest, RunsAgainWhenAnotherAgentWroteInBetween) {
  store_.before_commit = [this] {
    NamespaceRecord theirs;
    theirs.id = "ns-theirs";
    theirs.name = "a";
    ASSERT_TRUE(real_->commit({.puts = {{key_of(theirs), encode(theirs)}, {"/head", ""}}}));
  };
  const auto refused = run("CreateHttpNamespace", "{'Name':'A'}");
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->type, "NamespaceAlreadyExists");
  EXPECT_EQ(refused.error->members.at("NamespaceId").as_string(), "ns-theirs");
  operation_of(run("CreateHttpNamespace", "{'Name':'b'}"));
}

TEST_F(ControllerTest, ChangesOfTheAgentItself) {
  const auto done = controller_->change([](Call& call) -> Result<void> {
    EXPECT_EQ(call.next_number("x"), 1u);
    EXPECT_EQ(call.next_number("x"), 2u);
    call.put_raw("/custom", "1");
    call.put_raw("/custom", "2");
    call.put_raw("/gone", "1");
    call.erase_raw("/gone");
    return {};
  });
  ASSERT_TRUE(done);
  EXPECT_EQ(*done, Revision(1));
  EXPECT_EQ(controller_->state().counters.at("x"), 2u);
  EXPECT_EQ(real_->range("/custom")->at(0).value, "2");
  EXPECT_TRUE(real_->range("/gone")->empty());
  const auto refused = controller_->change([](Call& call) -> Result<void> {
    call.put_raw("/custom", "3");
    return make_error("start", "task", "no such service");
  });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().cause, "no such service");
  EXPECT_EQ(real_->range("/custom")->at(0).value, "2");
}

TEST_F(ControllerTest, CallbacksMayChangeThingsThemselves) {
  std::vector<std::uint64_t> seen;
  controller_->on_change([&](const auto& events) {
    seen.push_back(events.back().revision.value);
    if (seen.size() > 1) return;
    for (int i = 0; i < 3; ++i) {
      const auto done = controller_->change([](Call& call) -> Result<void> {
        call.next_number("x");
        return {};
      });
      ASSERT_TRUE(done) << done.error().message();
    }
  });
  operation_of(run("CreateHttpNamespace", "{'Name':'a'}"));
  EXPECT_EQ(controller_->state().counters.at("x"), 3u);
  EXPECT_THAT(seen, testing::ElementsAre(1, 2, 3, 4));
}

TEST_F(ControllerTest, AThrowingHandlerAnswers500) {
  const auto refused = controller_->run(
      [](Call&, const json::object& input) -> ApiResult {
        return {input.at("absent").as_object(), {}};
      },
      {});
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->status, 500u);
  operation_of(run("CreateHttpNamespace", "{'Name':'a'}"));
}

TEST_F(ControllerTest, ADamagedEntryIsNamedAtTheStart) {
  ASSERT_TRUE(real_->commit({.puts = {{"/services/srv-1", "{\"Id\":3}"}}}));
  Controller second(store_, settings_, clock_, random_);
  const auto started = second.start();
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message(), AllOf(HasSubstr("/services/srv-1"), HasSubstr("member Id is not a string")));
}

TEST_F(ControllerTest, OfOperationsThatEndedTheNewestAreKept) {
  settings_.ended_operations_kept = 3;
  controller_.emplace(store_, settings_, clock_, random_);
  ASSERT_TRUE(controller_->start());
  std::vector<std::string> ids;
  for (int i = 0; i < 6; ++i) {
    ids.push_back(operation_of(run("CreateHttpNamespace", "{'Name':'n" + std::to_string(i) + "'}")));
    controller_->acknowledged(controller_->state().revision());
    clock_.advance(std::chrono::seconds(1));
  }
  const auto& kept = controller_->state().operations;
  EXPECT_LE(kept.size(), 4u);
  EXPECT_TRUE(kept.contains(ids[5]));
  EXPECT_FALSE(kept.contains(ids[0]));
  const auto before = kept.size();
  controller_.emplace(store_, settings_, clock_, random_);
  ASSERT_TRUE(controller_->start());
  operation_of(run("CreateHttpNamespace", "{'Name':'again'}"));
  controller_->acknowledged(controller_->state().revision());
  EXPECT_LE(controller_->state().operations.size(), before + 1);
  EXPECT_TRUE(controller_->state().operations.contains(ids[5]));
}

}  // namespace
}  // namespace causeway::control::test
