#include "agent/task_cgroup.h"

#include <gmock/gmock.h>

#include "child.h"
#include "world.h"

namespace causeway::agent {
namespace {

class TaskCgroupsTest : public testing::Test {
 protected:
  TaskCgroupsTest() {
    auto opened = TaskCgroups::open(context_.get_executor(), cgroup_.path() + "/tasks");
    if (!opened) throw std::runtime_error(opened.error().message());
    cgroups_.emplace(std::move(*opened));
  }
  boost::asio::io_context context_;
  TestCgroup cgroup_;
  std::optional<TaskCgroups> cgroups_;
};

TEST_F(TaskCgroupsTest, IdIsTheInodeOfTheDirectory) {
  const auto id = cgroups_->create("a");
  ASSERT_TRUE(id.has_value()) << id.error().message();
  struct stat info {};
  ASSERT_EQ(::stat(cgroups_->path("a").c_str(), &info), 0);
  EXPECT_EQ(*id, info.st_ino);
  EXPECT_EQ(cgroups_->create("a").error().code, EEXIST);
  EXPECT_THAT(*cgroups_->list(), testing::ElementsAre("a"));
  EXPECT_TRUE(cgroups_->remove("a").has_value());
  EXPECT_TRUE(cgroups_->remove("a").has_value());
  EXPECT_EQ(cgroups_->populated("a").error().code, ENOENT);
}

TEST_F(TaskCgroupsTest, EndOfTheLastProcessIsReported) {
  Child child(sleep_for_good);
  ASSERT_TRUE(cgroups_->create("a").has_value());
  bool changed = false;
  ASSERT_TRUE(cgroups_->watch("a", [&] { changed = true; }).has_value());
  EXPECT_FALSE(*cgroups_->populated("a"));
  ASSERT_TRUE(cgroups_->enter("a", child.pid()).has_value());
  EXPECT_THAT(*cgroups_->processes("a"), testing::ElementsAre(child.pid()));
  ASSERT_TRUE(run_until(context_, [&] { return changed && *cgroups_->populated("a"); }));
  changed = false;
  EXPECT_EQ(cgroups_->remove("a").error().code, EBUSY);
  ASSERT_TRUE(cgroups_->watch("a", [&] { changed = true; }).has_value());  // remove() unwatched it
  ::kill(child.pid(), SIGKILL);
  ASSERT_TRUE(run_until(context_, [&] { return changed && !*cgroups_->populated("a"); }));
  EXPECT_TRUE(cgroups_->remove("a").has_value());
}

TEST_F(TaskCgroupsTest, KillReachesWhatTheProgramForked) {
  Child child([] {
    (void)!::fork();
    sleep_for_good();
  });
  ASSERT_TRUE(cgroups_->create("a").has_value());
  ASSERT_TRUE(cgroups_->enter("a", child.pid()).has_value());
  child.go();
  ASSERT_TRUE(run_until(context_, [&] { return cgroups_->processes("a")->size() == 2; }));
  ASSERT_TRUE(cgroups_->kill("a").has_value());
  ASSERT_TRUE(run_until(context_, [&] { return !*cgroups_->populated("a"); }));
}

TEST_F(TaskCgroupsTest, RemovesCgroupsThatTheProgramMade) {
  ASSERT_TRUE(cgroups_->create("a").has_value());
  ASSERT_EQ(::mkdir((cgroups_->path("a") + "/inner").c_str(), 0755), 0);
  EXPECT_TRUE(cgroups_->remove("a").has_value());
}

TEST_F(TaskCgroupsTest, EnteringWithADeadPidNamesThePath) {
  ASSERT_TRUE(cgroups_->create("a").has_value());
  Child child(sleep_for_good);
  ::kill(child.pid(), SIGKILL);
  child.wait();
  const auto entered = cgroups_->enter("a", child.pid());
  ASSERT_FALSE(entered.has_value());
  EXPECT_EQ(entered.error().code, ESRCH);
  EXPECT_THAT(entered.error().message(), testing::HasSubstr("/tasks/a/cgroup.procs"));
}

TEST(TaskCgroups, OtherFileSystemsAreRefused) {
  boost::asio::io_context context;
  const auto opened = TaskCgroups::open(context.get_executor(), testing::TempDir() + "not-a-cgroup");
  ASSERT_FALSE(opened.has_value());
  EXPECT_THAT(opened.error().message(), testing::HasSubstr("not on a cgroup v2 mount"));
  ::rmdir((testing::TempDir() + "not-a-cgroup").c_str());
}

}  // namespace
}  // namespace causeway::agent
