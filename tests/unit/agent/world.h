#pragma once
// A store, a controller and a tasks' cgroup of the test's own, described through the API's own operations.
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "control/controller.h"
#include "kernel/plane.h"
#include "store/sqlite_store.h"

namespace causeway::agent {

namespace json = boost::json;

inline control::Settings test_settings() {
  control::Settings settings;
  settings.alias_v4 = *IpPrefix::parse("127.255.0.0/16");
  settings.alias_v6 = *IpPrefix::parse("100::/64");
  settings.task_v4 = *IpPrefix::parse("127.254.0.0/16");
  return settings;
}

/// Controller over a store in a directory that goes with it.
class World {
 public:
  World() {
    std::filesystem::create_directories(directory_);
    open();
  }
  ~World() {
    controller_.reset();
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  /// As a restarted agent would.
  void reopen() {
    controller_.reset();
    store_.reset();
    open();
  }

  control::Controller& controller() { return *controller_; }
  const control::State& state() const { return controller_->state(); }
  const std::string& directory() const { return directory_; }
  Clock& clock() { return clock_; }

  json::object ecs(const char* operation, const char* input) {
    return call(control::ecs_operations(), operation, input);
  }
  json::object cloud_map(const char* operation, const char* input) {
    return call(control::service_discovery_operations(), operation, input);
  }

  /// Namespace myapp.local, cluster production, service user-service (port 3000 as http, alias user-svc:80), and the
  /// client-only service web.
  void describe_example(unsigned stop_timeout_seconds = 2) {
    cloud_map("CreatePrivateDnsNamespace", R"({"Name": "myapp.local", "Vpc": "vpc-abc123"})");
    ecs("CreateCluster", R"({"clusterName": "production"})");
    ecs("RegisterTaskDefinition",
        (R"({"family": "user-service", "containerDefinitions": [{"name": "app", "image": "none", "stopTimeout": )" +
         std::to_string(stop_timeout_seconds) + R"(, "portMappings": [{"name": "http", "containerPort": 3000}]}]})")
            .c_str());
    ecs("RegisterTaskDefinition", R"({"family": "web", "containerDefinitions": [{"name": "app", "image": "none"}]})");
    ecs("CreateService", R"({"cluster": "production", "serviceName": "user-service", "taskDefinition": "user-service",
        "serviceConnectConfiguration": {"enabled": true, "namespace": "myapp.local", "services": [{"portName": "http",
        "discoveryName": "users", "clientAliases": [{"port": 80, "dnsName": "user-svc"}]}]}})");
    ecs("CreateService", R"({"cluster": "production", "serviceName": "web", "taskDefinition": "web",
        "serviceConnectConfiguration": {"enabled": true, "namespace": "myapp.local"}})");
  }

  std::vector<control::TaskRecord> tasks() const {
    std::vector<control::TaskRecord> out;
    for (const auto& [cluster, by_id] : state().tasks) {
      for (const auto& [id, task] : by_id) out.push_back(task);
    }
    return out;
  }

 private:
  void open() {
    auto opened = store::SqliteStore::open(directory_ + "/causeway.db");
    if (!opened) throw std::runtime_error(opened.error().message());
    store_ = std::move(*opened);
    controller_ = std::make_unique<control::Controller>(*store_, test_settings(), clock_, random_);
    if (const auto started = controller_->start(); !started) throw std::runtime_error(started.error().message());
  }

  json::object call(const control::Operations& operations, const char* operation, const char* input) {
    const auto answer = controller_->run(operations.at(operation), json::parse(input).as_object());
    if (answer.error) throw std::runtime_error(std::string(operation) + ": " + answer.error->message);
    return answer.body;
  }

  std::string directory_ = testing::TempDir() + "cw-agent-test-" + std::to_string(::getpid());
  SystemClock clock_;
  FastRandom random_{7};
  std::unique_ptr<store::SqliteStore> store_;
  std::unique_ptr<control::Controller> controller_;
};

/// A directory below the cgroup v2 mount, removed with everything in it. Needs root; without it the test fails.
class TestCgroup {
 public:
  TestCgroup() {
    const auto mount = kernel::find_cgroup2_mount();
    if (!mount) throw std::runtime_error(mount.error().message());
    path_ = *mount + "/cw-agent-test-" + std::to_string(::getpid());
    if (::mkdir(path_.c_str(), 0755) != 0 && errno != EEXIST) {
      throw std::runtime_error("cannot make " + path_ + ": these tests need root and a writable cgroup v2 mount");
    }
  }
  ~TestCgroup() {
    if (FILE* kill = std::fopen((path_ + "/cgroup.kill").c_str(), "w")) {
      std::fputs("1", kill);
      std::fclose(kill);
    }
    for (int i = 0; i < 1000 && !remove(path_); ++i) ::usleep(1000);
  }
  const std::string& path() const { return path_; }

 private:
  static bool remove(const std::string& path) {
    std::error_code error;
    std::vector<std::string> below;
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
      if (entry.is_directory()) below.push_back(entry.path());
    }
    for (const std::string& each : below) remove(each);
    return ::rmdir(path.c_str()) == 0 || errno == ENOENT;
  }
  std::string path_;
};

/// Runs the context until the condition holds; false after ten seconds.
inline bool run_until(boost::asio::io_context& context, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    context.restart();
    context.run_one_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace causeway::agent
