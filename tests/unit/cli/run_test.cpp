#include "cli/run.h"

#include <fstream>

#include <boost/asio/signal_set.hpp>
#include <boost/json/array.hpp>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../agent/world.h"
#include "agent/account.h"
#include "agent/local_api.h"
#include "agent/task_supervisor.h"
#include "cli/cli.h"
#include "web/server.h"

namespace causeway::cli {
namespace {

using testing::HasSubstr;
namespace json = boost::json;

/// The agent's tasks and socket in a process of their own: the command is a fork of this one, which has no threads.
class RunTest : public testing::Test {
 protected:
  RunTest() {
    directory_ = testing::TempDir() + "cw-run-test-" + std::to_string(::getpid());
    std::filesystem::create_directories(directory_);
    socket_ = directory_ + "/agent.sock";
    int ready[2];
    if (::pipe(ready) != 0) ::abort();
    agent_ = ::fork();
    if (agent_ == 0) serve(ready[1]);
    ::close(ready[1]);
    char byte = 0;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1) << "the agent did not start";
    ::close(ready[0]);
  }
  ~RunTest() override {
    ::kill(agent_, SIGTERM);
    int status = 0;
    ::waitpid(agent_, &status, 0);
    EXPECT_EQ(status, 0) << "the agent's process did not end well";
    std::filesystem::remove_all(directory_);
  }

  [[noreturn]] void serve(int ready) {
    int status = 1;
    try {
      boost::asio::io_context context;
      agent::TestCgroup cgroup;
      agent::World world;
      world.describe_example();
      agent::SupervisorOptions options;
      options.tasks_cgroup = cgroup.path() + "/tasks";
      options.is_listening = [](const SocketAddress&) -> Result<bool> { return false; };
      agent::TaskSupervisor supervisor(context.get_executor(), world.controller(), options);
      world.controller().on_change([&](const auto& events) { supervisor.on_change(events); });
      agent::Config config;
      control::Credentials credentials{"AKIA", "secret"};
      web::Server server(context.get_executor(),
                         agent::make_local_api({config, world.controller(), supervisor, credentials,
                                                [] { return agent::RuntimeStatus{}; }}));
      boost::asio::signal_set end(context, SIGTERM);
      end.async_wait([&](boost::system::error_code, int) { context.stop(); });
      if (supervisor.start() && server.listen_unix(socket_, 0600)) {
        (void)!::write(ready, "x", 1);
        context.run();
        status = 0;
      }
      supervisor.stop();
      server.stop();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
    ::_exit(status);
  }

  struct Ended {
    int status = 0;  ///< wait status
    std::string out, err;
    int code() const { return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }
  };
  std::string text(const std::string& path) {
    std::stringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }
  pid_t start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"causeway", "--socket", socket_});
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    (void)!std::freopen((directory_ + "/out").c_str(), "w", stdout);
    (void)!std::freopen((directory_ + "/err").c_str(), "w", stderr);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const int code = run_command_line(static_cast<int>(arguments.size()), argv.data());
    std::fflush(nullptr);
    ::_exit(code);
  }
  Ended finish(pid_t pid) {
    Ended ended;
    EXPECT_EQ(::waitpid(pid, &ended.status, 0), pid);
    ended.out = text(directory_ + "/out");
    ended.err = text(directory_ + "/err");
    return ended;
  }
  Ended causeway(std::vector<std::string> arguments) { return finish(start(std::move(arguments))); }
  Ended run(std::vector<std::string> program, std::vector<std::string> options = {}) {
    std::vector<std::string> all{"run", "--cluster", "production", "--service", "user-service"};
    all.insert(all.end(), options.begin(), options.end());
    all.push_back("--");
    all.insert(all.end(), program.begin(), program.end());
    return causeway(std::move(all));
  }
  json::array tasks() {
    const auto answer = Client(socket_).get("/v1/tasks");
    EXPECT_TRUE(answer.has_value()) << answer.error().message();
    return answer ? answer->at("tasks").as_array() : json::array();
  }

  std::string directory_, socket_;
  pid_t agent_ = -1;
};

TEST_F(RunTest, ExitStatusAndOutputAreTheProgramS) {
  const Ended ended = run({"sh", "-c", "echo hello; exit 7"});
  EXPECT_EQ(ended.code(), 7) << ended.err;
  EXPECT_EQ(ended.out, "hello\n");
  EXPECT_EQ(tasks().size(), 1U);
}

TEST_F(RunTest, ProcessIdAndSignalsAreTheProgramS) {
  const pid_t pid = start({"run", "--cluster", "production", "--service", "user-service", "--", "sleep", "1000"});
  std::string comm;
  for (int i = 0; i < 5000 && comm != "sleep\n"; ++i) {
    ::usleep(1000);
    comm = text("/proc/" + std::to_string(pid) + "/comm");
  }
  ASSERT_EQ(comm, "sleep\n");
  EXPECT_EQ(tasks().at(0).at("pid").to_number<int>(), pid);
  EXPECT_THAT(text("/proc/" + std::to_string(pid) + "/cgroup"),
              HasSubstr("/tasks/" + std::string(tasks().at(0).at("id").as_string())));
  ::kill(pid, SIGUSR1);
  EXPECT_EQ(finish(pid).code(), -SIGUSR1);
}

TEST_F(RunTest, EnvironmentAndArguments) {
  const Ended ended =
      run({"sh", "-c", "echo \"$A|$B|$CAUSEWAY_TASK_ADDRESS|$#|$1\"; test -n \"$CAUSEWAY_TASK_ID\"", "x", "--json"},
          {"--env", "A=1", "--env", "B=x=y z"});
  EXPECT_EQ(ended.code(), 0) << ended.err;
  EXPECT_EQ(ended.out, "1|x=y z|127.254.0.1|1|--json\n");
}

TEST_F(RunTest, ProgramWithoutDashesIsToldToHaveThem) {
  const Ended ended = causeway({"run", "--cluster", "production", "--service", "user-service", "echo", "-n", "hi"});
  EXPECT_EQ(ended.code(), 125);
  EXPECT_THAT(ended.err, HasSubstr("-- PROGRAM ARGS"));
  EXPECT_TRUE(tasks().empty());
}

TEST_F(RunTest, UserIsEnteredForGood) {
  const auto nobody = agent::find_account("nobody");
  ASSERT_TRUE(nobody.has_value());
  const Ended ended =
      run({"sh", "-c", "id -u; id -G; echo $USER $HOME; grep CapEff /proc/self/status"}, {"--user", "nobody"});
  EXPECT_EQ(ended.code(), 0) << ended.err;
  EXPECT_THAT(ended.out, testing::StartsWith(std::to_string(nobody->uid) + "\n" + std::to_string(nobody->gid) +
                                             "\nnobody " + nobody->home));
  EXPECT_THAT(ended.out, HasSubstr("CapEff:\t0000000000000000"));
}

TEST_F(RunTest, MissingProgramAsksForNoTask) {
  const Ended missing = run({"no-such-program"});
  EXPECT_EQ(missing.code(), 127);
  EXPECT_THAT(missing.err, HasSubstr("no-such-program"));
  EXPECT_EQ(run({"/etc/passwd"}).code(), 126);
  EXPECT_EQ(run({"/tmp"}).code(), 126);
  EXPECT_EQ(run({"/no/such/path"}).code(), 127);
  EXPECT_EQ(run({"true"}, {"--env", "PATH=/nonexistent"}).code(), 127);
  EXPECT_EQ(run({"true"}, {"--user", "no-such-user"}).code(), 125);
  EXPECT_EQ(run({"true"}, {"--env", "1=2"}).code(), 125);
  EXPECT_EQ(run({"true"}, {"--env", "A"}).code(), 125);
  EXPECT_EQ(run({}).code(), 125);
  EXPECT_TRUE(tasks().empty());
}

TEST_F(RunTest, UnknownServiceIsNamed) {
  const Ended ended = causeway({"run", "--cluster", "production", "--service", "user-servcie", "--", "true"});
  EXPECT_EQ(ended.code(), 125);
  EXPECT_THAT(ended.err, HasSubstr("user-servcie"));
  EXPECT_THAT(ended.err, HasSubstr("did you mean production/user-service?"));
}

TEST_F(RunTest, OptionsThatAreMissingOrWrong) {
  EXPECT_EQ(causeway({"run", "--cluster", "production", "--", "true"}).code(), 125);
  EXPECT_EQ(causeway({"stauts"}).code(), 2);
  EXPECT_EQ(causeway({}).code(), 2);
  EXPECT_EQ(causeway({"explain", "http://x"}).code(), 1);
  EXPECT_EQ(causeway({"--help"}).code(), 0);
}

TEST_F(RunTest, TablesAndJsonComeFromTheAgent) {
  for (const char* command : {"status", "services", "endpoints", "tasks", "env"}) {
    const Ended table = causeway({command});
    EXPECT_EQ(table.code(), 0) << command << table.err;
    EXPECT_THAT(table.out, testing::Not(HasSubstr("\033"))) << "colours into a file";
    const Ended document = causeway({command, "--json"});
    boost::system::error_code bad;
    json::parse(document.out, bad);
    EXPECT_FALSE(bad) << command << ": " << document.out;
  }
  EXPECT_THAT(causeway({"services"}).out, HasSubstr("users"));
  EXPECT_THAT(causeway({"explain", "user-svc:80", "--from", "production/web"}).out, HasSubstr("127.255."));
  EXPECT_EQ(causeway({"explain", "user-svc:80", "--from", "production/none"}).code(), 1);
}

TEST(FindProgram, AsExecvpDoes) {
  EXPECT_EQ(*find_program("sh", "/nonexistent:/bin"), "/bin/sh");
  EXPECT_EQ(find_program("sh", "/nonexistent").error().code, ENOENT);
  EXPECT_EQ(find_program("passwd", "/etc").error().code, EACCES);
  EXPECT_EQ(find_program("", "/bin").error().code, ENOENT);
}

}  // namespace
}  // namespace causeway::cli
