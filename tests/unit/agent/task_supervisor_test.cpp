#include "agent/task_supervisor.h"

#include <fstream>
#include <set>

#include <gmock/gmock.h>
#include <netinet/in.h>

#include "agent/connections.h"
#include "base/fd.h"
#include "child.h"
#include "own_network.h"
#include "world.h"

namespace causeway::agent {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

/// A TCP listener on that address, backlog only.
Fd listen_on(const SocketAddress& at) {
  sockaddr_storage storage{};
  const socklen_t size = at.to(storage);
  Fd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), size), 0) << at.to_string();
  EXPECT_EQ(::listen(fd.get(), 16), 0);
  return fd;
}

Fd dial(const SocketAddress& at) {
  sockaddr_storage storage{};
  const socklen_t size = at.to(storage);
  Fd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), size), 0) << at.to_string();
  return fd;
}

class TaskSupervisorTest : public testing::Test {
 protected:
  TaskSupervisorTest() {
    world_.describe_example();
    options_.tasks_cgroup = cgroup_.path() + "/tasks";
    options_.drain = 300ms;
    options_.recheck = 1h;  // only events count, unless a test says otherwise
    options_.is_listening = [this](const SocketAddress& at) -> Result<bool> {
      return listening_.contains(at.to_string());
    };
    start_supervisor();
  }
  ~TaskSupervisorTest() override { supervisor_.reset(); }

  void start_supervisor() {
    supervisor_ = std::make_unique<TaskSupervisor>(context_.get_executor(), world_.controller(), options_);
    world_.controller().on_change([this](const auto& events) { supervisor_->on_change(events); });
    const auto started = supervisor_->start();
    ASSERT_TRUE(started.has_value()) << started.error().message();
  }

  /// kill -9 of the agent and the next one: nothing is told to the old supervisor's tasks.
  void restart_agent() {
    supervisor_.reset();
    world_.reopen();
    start_supervisor();
  }

  control::TaskRecord start(const Child& child) {
    auto task = supervisor_->start_task({"production", "user-service"}, child.pid());
    EXPECT_TRUE(task.has_value()) << (task ? "" : task.error().message());
    return task ? *task : control::TaskRecord{};
  }
  const control::TaskRecord& record(const std::string& id) { return world_.state().tasks.at("production").at(id); }
  bool reached(const std::string& id, const std::string& status) {
    return run_until(context_, [&] { return record(id).last_status == status; });
  }
  bool cgroup_exists(const std::string& id) { return ::access((options_.tasks_cgroup + "/" + id).c_str(), F_OK) == 0; }
  std::vector<Endpoint> endpoints() {
    for (const auto& [id, service] : world_.controller().snapshot()->services) {
      if (service->discovery_name == "users") return service->endpoints;
    }
    return {};
  }
  void listens(const SocketAddress& at) {
    listening_.insert(at.to_string());
    supervisor_->on_listen(at);
  }

  boost::asio::io_context context_;
  TestCgroup cgroup_;
  World world_;
  SupervisorOptions options_;
  std::set<std::string> listening_;
  std::unique_ptr<TaskSupervisor> supervisor_;
};

TEST_F(TaskSupervisorTest, TaskRunsInItsCgroupAndIsRegisteredAsStarting) {
  Child child(sleep_for_good);
  const auto task = start(child);
  EXPECT_EQ(task.last_status, "RUNNING");
  EXPECT_EQ(task.pid, child.pid());
  EXPECT_TRUE(test_settings().task_v4.contains(task.address));
  EXPECT_TRUE(cgroup_exists(task.id));
  struct stat info {};
  ASSERT_EQ(::stat((options_.tasks_cgroup + "/" + task.id).c_str(), &info), 0);
  EXPECT_EQ(task.cgroup_id, info.st_ino);
  ASSERT_EQ(endpoints().size(), 1U);
  EXPECT_EQ(endpoints()[0].health, Health::starting);
  EXPECT_EQ(endpoints()[0].address, (SocketAddress{task.address, 3000}));
  EXPECT_EQ(world_.controller().snapshot()->workloads.at(task.id).cgroup_id, info.st_ino);
  EXPECT_EQ(supervisor_->followed(), 1U);
}

TEST_F(TaskSupervisorTest, ListeningPortMakesTheEndpointHealthyAndBack) {
  Child child(sleep_for_good);
  const auto task = start(child);
  const SocketAddress at{task.address, 3000};
  supervisor_->on_listen(at);  // an event that comes too early: the look decides
  EXPECT_EQ(endpoints().at(0).health, Health::starting);
  listens(at);
  EXPECT_EQ(endpoints().at(0).health, Health::healthy);
  EXPECT_THAT(record(task.id).listening_ports, testing::ElementsAre(3000));
  listening_.clear();
  supervisor_->on_listen(at);
  EXPECT_EQ(endpoints().at(0).health, Health::starting);
  supervisor_->on_listen({task.address, 4000});               // no port of the task
  supervisor_->on_listen({IpAddress::v4(0x7f000001), 3000});  // no task's address
  EXPECT_EQ(endpoints().size(), 1U);
}

TEST_F(TaskSupervisorTest, APortThatClosesWithItsTaskIsRecordedAsTheTasksEnd) {
  Child child(sleep_for_good);
  const auto task = start(child);
  const SocketAddress at{task.address, 3000};
  listens(at);
  ::kill(child.pid(), SIGKILL);
  child.wait();
  listening_.clear();
  supervisor_->on_listen(at);  // the cgroup's own event is not looked at yet: the executor does not run
  EXPECT_EQ(record(task.id).last_status, "STOPPED");
  EXPECT_TRUE(endpoints().empty());
  EXPECT_EQ(supervisor_->followed(), 0U);
}

TEST_F(TaskSupervisorTest, LostListenEventIsMadeUpForByTheRecheck) {
  options_.recheck = 10ms;
  restart_agent();
  Child child(sleep_for_good);
  const auto task = start(child);
  listening_.insert(SocketAddress{task.address, 3000}.to_string());
  EXPECT_TRUE(run_until(context_, [&] { return endpoints().at(0).health == Health::healthy; }));
}

TEST_F(TaskSupervisorTest, EndOfTheProgramEndsTheTask) {
  Child child([] {});
  const auto task = start(child);
  listens({task.address, 3000});
  child.go();
  ASSERT_TRUE(reached(task.id, "STOPPED"));
  EXPECT_EQ(record(task.id).stopped_reason, "Essential container in task exited");
  EXPECT_EQ(record(task.id).stop_code, "EssentialContainerExited");
  EXPECT_THAT(endpoints(), testing::IsEmpty());
  EXPECT_FALSE(cgroup_exists(task.id));
  EXPECT_EQ(supervisor_->followed(), 0U);
}

TEST_F(TaskSupervisorTest, TaskLivesOnWhileAChildOfTheProgramDoes) {
  int pipe_of_pid[2];
  ASSERT_EQ(::pipe(pipe_of_pid), 0);
  Child child([&] {
    const pid_t daemon = ::fork();
    if (daemon == 0) sleep_for_good();
    (void)!::write(pipe_of_pid[1], &daemon, sizeof daemon);
  });
  const auto task = start(child);
  child.go();
  pid_t daemon = 0;
  ASSERT_EQ(::read(pipe_of_pid[0], &daemon, sizeof daemon), static_cast<ssize_t>(sizeof daemon));
  child.wait();
  context_.restart();
  context_.run_for(50ms);
  EXPECT_EQ(record(task.id).last_status, "RUNNING");
  ::kill(daemon, SIGKILL);
  EXPECT_TRUE(reached(task.id, "STOPPED"));
  ::close(pipe_of_pid[0]);
  ::close(pipe_of_pid[1]);
}

TEST_F(TaskSupervisorTest, StopDeregistersThenTerminates) {
  Child child(sleep_for_good);
  const auto task = start(child);
  listens({task.address, 3000});
  ASSERT_TRUE(supervisor_->stop_task("production", task.id, "enough").has_value());
  ASSERT_TRUE(run_until(context_, [&] { return endpoints().at(0).health == Health::draining; }));
  EXPECT_TRUE(child.lives());
  ASSERT_TRUE(reached(task.id, "STOPPED"));
  EXPECT_EQ(record(task.id).stopped_reason, "enough");
  EXPECT_EQ(record(task.id).stop_code, "UserInitiated");
  const int status = child.wait();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  EXPECT_THAT(endpoints(), testing::IsEmpty());
}

TEST_F(TaskSupervisorTest, DrainWaitsForOpenConnectionsButNotForever) {
  options_.drain = 700ms;
  restart_agent();
  Child child(sleep_for_good);
  const auto task = start(child);
  const SocketAddress at{task.address, 3000};
  const OwnNetwork network;
  const Fd listener = listen_on(at);
  const Fd connection = dial(at);
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(supervisor_->stop_task("production", task.id, "enough").has_value());
  ASSERT_TRUE(reached(task.id, "STOPPED"));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 700ms);
}

TEST_F(TaskSupervisorTest, DrainLastsAsLongAsTheServiceSays) {
  options_.drain.reset();
  restart_agent();
  const auto id = world_.state().services.begin()->first;
  world_.cloud_map("UpdateServiceAttributes",
                   (R"({"ServiceId": ")" + id + R"(", "Attributes": {"causeway:drain_timeout": "700ms"}})").c_str());
  Child child(sleep_for_good);
  const auto task = start(child);
  const SocketAddress at{task.address, 3000};
  const OwnNetwork network;
  const Fd listener = listen_on(at);
  const Fd connection = dial(at);
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(supervisor_->stop_task("production", task.id, "enough").has_value());
  ASSERT_TRUE(reached(task.id, "STOPPED"));  // within ten seconds, where the default is 20
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 700ms);
}

TEST_F(TaskSupervisorTest, DrainEndsEarlyWithoutConnections) {
  options_.drain = 1h;
  restart_agent();
  Child child(sleep_for_good);
  const auto task = start(child);
  ASSERT_TRUE(supervisor_->stop_task("production", task.id, "enough").has_value());
  EXPECT_TRUE(reached(task.id, "STOPPED"));  // within run_until's ten seconds
}

TEST_F(TaskSupervisorTest, ProgramThatIgnoresSigtermIsKilledAfterItsStopTimeout) {
  Child child([] {
    ::signal(SIGTERM, SIG_IGN);
    if (::fork() == 0) sleep_for_good();
    sleep_for_good();
  });
  const auto task = start(child);
  child.go();
  ASSERT_TRUE(run_until(context_, [&] {
    std::ifstream procs(options_.tasks_cgroup + "/" + task.id + "/cgroup.procs");
    return std::count(std::istreambuf_iterator<char>(procs), {}, '\n') == 2;
  }));
  ASSERT_TRUE(supervisor_->stop_task("production", task.id, "enough").has_value());
  ASSERT_TRUE(reached(task.id, "STOPPING"));
  ASSERT_TRUE(reached(task.id, "STOPPED"));
  const int status = child.wait();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST_F(TaskSupervisorTest, ATaskWhoseEndIsSeenWhenItsPortIsLookedAtAgainIsEnded) {
  Child child(sleep_for_good);
  int looks = 0;
  bool ends = false;
  options_.recheck = 5ms;
  options_.is_listening = [&](const SocketAddress&) -> Result<bool> {
    ++looks;
    if (ends) {
      ::kill(child.pid(), SIGKILL);
      child.wait();
    }
    return false;
  };
  restart_agent();
  const auto task = start(child);
  ASSERT_TRUE(run_until(context_, [&] { return looks > 3; })) << "what the start asked for is done";
  ends = true;
  EXPECT_TRUE(reached(task.id, "STOPPED"));
  EXPECT_EQ(supervisor_->followed(), 0U);
}

TEST_F(TaskSupervisorTest, DeletingTheServiceStopsItsTasks) {
  Child child(sleep_for_good);
  const auto task = start(child);
  world_.ecs("DeleteService", R"({"cluster": "production", "service": "user-service", "force": true})");
  EXPECT_TRUE(reached(task.id, "STOPPED"));
}

TEST_F(TaskSupervisorTest, NextAgentTakesRunningTasksOverAndEndsTheOthers) {
  Child lives(sleep_for_good), dies(sleep_for_good);
  const auto kept = start(lives);
  const auto lost = start(dies);
  listens({kept.address, 3000});
  supervisor_.reset();  // the agent is gone
  ::kill(dies.pid(), SIGKILL);
  dies.wait();
  listening_.clear();
  world_.reopen();
  ASSERT_EQ(::mkdir((options_.tasks_cgroup + "/stray").c_str(), 0755), 0);
  start_supervisor();
  EXPECT_TRUE(lives.lives());
  EXPECT_EQ(supervisor_->followed(), 1U);
  EXPECT_EQ(record(kept.id).last_status, "RUNNING");
  EXPECT_EQ(endpoints().at(0).health, Health::starting);  // its listening was looked at anew
  EXPECT_EQ(record(lost.id).last_status, "STOPPED");
  EXPECT_THAT(record(lost.id).stopped_reason, HasSubstr("gone when the agent started"));
  EXPECT_FALSE(cgroup_exists(lost.id));
  EXPECT_FALSE(cgroup_exists("stray"));
  ::kill(lives.pid(), SIGTERM);
  EXPECT_TRUE(reached(kept.id, "STOPPED"));
}

TEST_F(TaskSupervisorTest, StopAskedBeforeTheCrashIsGoneOnWith) {
  options_.drain = 1h;
  options_.connections = [](const SocketAddress&) -> Result<std::size_t> { return std::size_t{1}; };
  restart_agent();
  Child child(sleep_for_good);
  const auto task = start(child);
  ASSERT_TRUE(supervisor_->stop_task("production", task.id, "enough").has_value());
  ASSERT_TRUE(reached(task.id, "DEACTIVATING"));
  options_.connections = nullptr;
  restart_agent();
  EXPECT_TRUE(reached(task.id, "STOPPED"));
}

TEST_F(TaskSupervisorTest, ProcessesOfUnknownTasksAreLeftAlone) {
  Child child(sleep_for_good);
  const std::string stray = options_.tasks_cgroup + "/unknown";
  ASSERT_EQ(::mkdir(stray.c_str(), 0755), 0);
  std::ofstream(stray + "/cgroup.procs") << child.pid();
  options_.recheck = 20ms;
  restart_agent();
  EXPECT_TRUE(child.lives());
  EXPECT_TRUE(cgroup_exists("unknown"));
  ::kill(child.pid(), SIGKILL);
  EXPECT_TRUE(run_until(context_, [&] { return !cgroup_exists("unknown"); }));
}

TEST_F(TaskSupervisorTest, NoTaskWithoutServiceOrProcess) {
  Child child(sleep_for_good);
  const auto wrong = supervisor_->start_task({"production", "nonsense"}, child.pid());
  ASSERT_FALSE(wrong.has_value());
  EXPECT_THAT(wrong.error().message(), HasSubstr("nonsense"));
  EXPECT_THAT(world_.tasks(), testing::IsEmpty());

  ::kill(child.pid(), SIGKILL);
  child.wait();
  EXPECT_FALSE(supervisor_->start_task({"production", "user-service"}, child.pid()).has_value());
  EXPECT_THAT(world_.tasks(), testing::IsEmpty());
}

TEST_F(TaskSupervisorTest, ServiceThatIsUpdatedWhileItsTaskListensGetsAHealthyInstance) {
  Child child(sleep_for_good);
  const auto task = start(child);
  listens({task.address, 3000});
  world_.ecs("UpdateService", R"({"cluster": "production", "service": "user-service",
      "serviceConnectConfiguration": {"enabled": true, "namespace": "myapp.local", "services": [{"portName": "http",
      "discoveryName": "people", "clientAliases": [{"port": 80, "dnsName": "people-svc"}]}]}})");
  EXPECT_TRUE(run_until(context_, [&] {
    for (const auto& [id, service] : world_.controller().snapshot()->services) {
      if (service->discovery_name != "people" || service->endpoints.size() != 1) continue;
      return service->endpoints[0].health == Health::healthy;
    }
    return false;
  }));
}

TEST_F(TaskSupervisorTest, StoppedSupervisorTouchesNothing) {
  Child child(sleep_for_good);
  const auto task = start(child);
  supervisor_->stop();
  EXPECT_TRUE(child.lives());
  EXPECT_TRUE(cgroup_exists(task.id));
  EXPECT_EQ(record(task.id).last_status, "RUNNING");
  EXPECT_THAT(supervisor_->start_task({"production", "user-service"}, child.pid()).error().message(),
              HasSubstr("stopping"));
}

/// What the socket is bound to.
SocketAddress address_of(const Fd& socket) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&storage), &size), 0);
  return *SocketAddress::from(storage);
}

TEST(OpenConnections, CountsThoseOfTheLocalEndOnly) {
  const IpAddress ip = *IpAddress::parse("127.254.77.1");
  const Fd listener = listen_on({ip, 0});
  const Fd another = listen_on({ip, 0});
  const SocketAddress at = address_of(listener);
  EXPECT_EQ(*open_connections(at), 0U);
  Fd first = dial(at);
  const Fd second = dial(at);
  EXPECT_EQ(*open_connections(at), 2U);
  EXPECT_EQ(*open_connections(address_of(another)), 0U);
  EXPECT_EQ(*open_connections({*IpAddress::parse("127.254.77.2"), at.port}), 0U);
}

TEST(OpenConnections, SeesServersOnIpv6Sockets) {
  const IpAddress ip = *IpAddress::parse("127.254.77.3");
  const Fd listener(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 mapped{};
  mapped.sin6_family = AF_INET6;
  std::copy(ip.bytes().begin(), ip.bytes().end(), mapped.sin6_addr.s6_addr);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&mapped), sizeof mapped), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  const SocketAddress at{ip, address_of(listener).port};
  const Fd connection = dial(at);
  EXPECT_EQ(*open_connections(at), 1U);
}

}  // namespace
}  // namespace causeway::agent
