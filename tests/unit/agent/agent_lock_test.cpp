#include "agent/agent_lock.h"

#include <filesystem>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

namespace causeway::agent {
namespace {

class AgentLock : public testing::Test {
 protected:
  AgentLock()
      : directory_(testing::TempDir() + "agent_lock_test_" + std::to_string(::getpid())),
        path_(directory_ + "/run/agent.lock") {}
  ~AgentLock() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
  std::string path_;
};

TEST_F(AgentLock, NobodyHoldsWhatDoesNotExist) {
  const auto holder = agent_lock_holder(path_);
  ASSERT_TRUE(holder.has_value());
  EXPECT_FALSE(holder->has_value());
}

TEST_F(AgentLock, SecondAgentIsRefusedWithThePidOfTheFirst) {
  auto first = take_agent_lock(path_);
  ASSERT_TRUE(first.has_value()) << first.error().message();
  const auto second = take_agent_lock(path_);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, EWOULDBLOCK);
  EXPECT_THAT(second.error().message(), testing::HasSubstr("(pid " + std::to_string(::getpid()) + ")"));
  EXPECT_THAT(second.error().message(), testing::HasSubstr("paths.run_dir"));
  const auto holder = agent_lock_holder(path_);
  ASSERT_TRUE(holder.has_value() && holder->has_value());
  EXPECT_EQ((*holder)->pid, ::getpid());
}

TEST_F(AgentLock, NobodyElseCanOpenIt) {
  std::filesystem::create_directories(std::filesystem::path(path_).parent_path());
  ::close(::open(path_.c_str(), O_CREAT | O_WRONLY, 0644));  // an earlier version's
  const auto lock = take_agent_lock(path_);
  ASSERT_TRUE(lock.has_value()) << lock.error().message();
  EXPECT_EQ(std::filesystem::status(path_).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(AgentLock, CleanEndRemovesTheFileAndTheNextOneTakesItsOwn) {
  auto first = take_agent_lock(path_);
  ASSERT_TRUE(first.has_value());
  release_agent_lock(std::move(*first), path_);
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_TRUE(take_agent_lock(path_).has_value());
}

TEST_F(AgentLock, LockOnARemovedFileKeepsNobodyOut) {
  auto first = take_agent_lock(path_);
  ASSERT_TRUE(first.has_value());
  std::filesystem::remove(path_);
  const auto second = take_agent_lock(path_);
  ASSERT_TRUE(second.has_value()) << second.error().message();
  EXPECT_FALSE(take_agent_lock(path_).has_value());
}

TEST_F(AgentLock, IsFreeAgainWhenTheHolderIsKilled) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto held = take_agent_lock(path_);
    (void)::write(ready[1], "x", 1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_FALSE(take_agent_lock(path_).has_value());
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(take_agent_lock(path_).has_value());
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace causeway::agent
