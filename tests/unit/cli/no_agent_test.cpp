#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/agent_lock.h"
#include "base/fd.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/detach.h"
#include "cli/doctor.h"
#include "cli/host_paths.h"

namespace causeway::cli {
namespace {

using testing::HasSubstr;

class NoAgent : public testing::Test {
 protected:
  NoAgent() : directory_(testing::TempDir() + "cw-cli-test-" + std::to_string(::getpid())) {
    std::filesystem::create_directories(directory_);
    config_.paths.run_dir = directory_;
    config_.paths.pin_root = "/sys/fs/bpf/cw-cli-test-" + std::to_string(::getpid());
    config_.cgroup.subtree = "cw-cli-test-" + std::to_string(::getpid());
  }
  ~NoAgent() override { std::filesystem::remove_all(directory_); }

  Fd listen_unix(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd.get(), 4), 0);
    return fd;
  }
  /// What the client makes of an agent that answers so.
  Result<boost::json::object> answered(const std::string& answer) {
    const Fd listener = listen_unix(config_.socket_path());
    std::thread agent([&] {
      const Fd peer(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      char request[4096];
      (void)!::read(peer.get(), request, sizeof request);
      (void)!::write(peer.get(), answer.data(), answer.size());
    });
    auto result = Client(config_.socket_path()).get("/v1/status");
    agent.join();
    ::unlink(config_.socket_path().c_str());
    return result;
  }

  std::string directory_;
  agent::Config config_;
};

TEST_F(NoAgent, ErrorSaysHowToStartIt) {
  const auto answer = Client(config_.socket_path()).get("/v1/status");
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ENOENT);
  EXPECT_THAT(answer.error().message(), HasSubstr("systemctl start causewayd"));
  listen_unix(config_.socket_path());  // a socket file that nobody listens on any more
  EXPECT_THAT(Client(config_.socket_path()).get("/v1/status").error().message(),
              HasSubstr("systemctl start causewayd"));
}

TEST_F(NoAgent, AgentThatHangsIsNotWaitedForForever) {
  const Fd listener = listen_unix(config_.socket_path());
  const auto answer = Client(config_.socket_path(), std::chrono::milliseconds(50)).get("/v1/status");
  ASSERT_FALSE(answer.has_value());
  EXPECT_THAT(answer.error().message(), HasSubstr("does not answer"));
}

TEST_F(NoAgent, StrangeAnswersAreErrors) {
  EXPECT_TRUE(answered("HTTP/1.1 200 OK\r\n\r\n{\"a\":1}").has_value());
  for (const char* bad :
       {"", "nonsense", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n{\"a\":", "HTTP/1.1 200 OK\r\n\r\n[1]",
        "HTTP/1.1", "HTTP/1.1 \r\n\r\n{}", "HTTP/1.1 500 X\r\n\r\n{}"}) {
    EXPECT_FALSE(answered(bad).has_value()) << bad;
  }
  EXPECT_THAT(answered("HTTP/1.1 409 X\r\n\r\n{\"error\":\"because\"}").error().message(), HasSubstr("because"));
}

TEST_F(NoAgent, WrongConfigurationIsToldWithItsLine) {
  std::ofstream(directory_ + "/bad.toml") << "[paths]\nrun_dirr = \"/x\"\n";
  std::string file = directory_ + "/bad.toml";
  char program[] = "causeway", option[] = "--config", command[] = "status";
  char* argv[] = {program, option, file.data(), command, nullptr};
  testing::internal::CaptureStderr();
  EXPECT_EQ(run_command_line(4, argv), 1);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("bad.toml:2: unknown key paths.run_dirr; did you mean paths.run_dir?"));
}

TEST_F(NoAgent, DetachRemovesWhatACrashLeftTwiceOver) {
  const auto paths = host_paths(config_);
  ASSERT_TRUE(paths.has_value()) << paths.error().message();
  for (const char* name : {"", "/agent", "/agent/proxy", "/tasks", "/tasks/t1"}) {
    ASSERT_EQ(::mkdir((paths->subtree + name).c_str(), 0755), 0) << "root and a writable cgroup v2 are needed";
  }
  listen_unix(config_.socket_path());
  const auto first = detach(config_, false, std::chrono::milliseconds(100));
  ASSERT_TRUE(first.has_value()) << first.error().message();
  EXPECT_THAT(first->removed, testing::Contains(paths->subtree + "/tasks/t1"));
  EXPECT_THAT(first->removed, testing::Contains(config_.socket_path()));
  EXPECT_THAT(first->kept, testing::IsEmpty());
  EXPECT_NE(::access(paths->subtree.c_str(), F_OK), 0);
  const auto second = detach(config_, false, std::chrono::milliseconds(100));
  ASSERT_TRUE(second.has_value());
  EXPECT_THAT(second->removed, testing::IsEmpty());
}

TEST_F(NoAgent, DetachKeepsRunningTasksAndEndsTheOrphanedProxy) {
  const auto paths = host_paths(config_);
  ASSERT_TRUE(paths.has_value());
  for (const char* name : {"", "/agent", "/agent/proxy", "/tasks", "/tasks/t1"})
    ASSERT_EQ(::mkdir((paths->subtree + name).c_str(), 0755), 0);
  const auto sleeper_in = [](const std::string& cgroup, bool stubborn) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      if (stubborn) ::signal(SIGTERM, SIG_IGN);
      std::ofstream(cgroup + "/cgroup.procs") << "0" << std::flush;
      for (;;) ::pause();
    }
    while (std::ifstream(cgroup + "/cgroup.procs").peek() == EOF) ::usleep(1000);
    return pid;
  };
  const pid_t task = sleeper_in(paths->subtree + "/tasks/t1", false);
  const pid_t proxy = sleeper_in(paths->subtree + "/agent/proxy", true);
  const auto done = detach(config_, false, std::chrono::milliseconds(50));
  ASSERT_TRUE(done.has_value()) << done.error().message();
  int status = 0;
  EXPECT_EQ(::waitpid(proxy, &status, 0), proxy);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_EQ(::waitpid(task, nullptr, WNOHANG), 0) << "it lives";
  EXPECT_THAT(done->kept, testing::Contains(HasSubstr("/tasks/t1 (processes live there)")));
  ::kill(task, SIGKILL);
  ::waitpid(task, nullptr, 0);
  EXPECT_THAT(detach(config_, false, std::chrono::milliseconds(50))->kept, testing::IsEmpty());
}

TEST_F(NoAgent, DetachRefusesWhileAnAgentLives) {
  auto lock = agent::take_agent_lock(config_.lock_path());
  ASSERT_TRUE(lock.has_value());
  const auto refused = detach(config_, false, std::chrono::milliseconds(1));
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message(), HasSubstr("--force"));
  EXPECT_TRUE(detach(config_, true, std::chrono::milliseconds(1)).has_value());
}

TEST_F(NoAgent, DoctorNamesThePortThatIsTaken) {
  const Fd taken(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage{};
  SocketAddress at{IpAddress::v4(0x7f000001), 0};
  socklen_t size = at.to(storage);
  ASSERT_EQ(::bind(taken.get(), reinterpret_cast<sockaddr*>(&storage), size), 0);
  ASSERT_EQ(::listen(taken.get(), 1), 0);
  ASSERT_EQ(::getsockname(taken.get(), reinterpret_cast<sockaddr*>(&storage), &size), 0);
  config_.listen.admin = *SocketAddress::from(storage);
  const auto checks = examine(config_, config_.socket_path());
  EXPECT_EQ(verdict(checks), 1);
  EXPECT_THAT(doctor_text(checks, false),
              HasSubstr("listen.admin " + config_.listen.admin.to_string() + " (tcp): Address already in use"));
  EXPECT_THAT(doctor_json(checks), HasSubstr("\"healthy\":false"));
}

TEST_F(NoAgent, DoctorSeesAnAgentThatDoesNotAnswer) {
  auto lock = agent::take_agent_lock(config_.lock_path());
  const auto checks = examine(config_, config_.socket_path());
  EXPECT_THAT(doctor_text(checks, false), HasSubstr("but does not answer"));
  EXPECT_EQ(verdict(checks), 1);
}

TEST(Doctor, TextAlignsAndCounts) {
  EXPECT_EQ(doctor_text({{"kernel", Finding::ok, "Linux", ""},
                         {"ports", Finding::missing, "taken", "free it"},
                         {"bpffs", Finding::note, "x", ""}},
                        false),
            "ok      kernel        Linux\n"
            "MISSING ports         taken\n"
            "                      -> free it\n"
            "note    bpffs         x\n"
            "\n"
            "1 of what the agent needs is missing.\n");
}

}  // namespace
}  // namespace causeway::cli
