// A snapshot that follows events is the one that is compiled anew from the state: after each transaction of any
// sequence of calls, World::follow() compares the two.
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ecs_world.h"

namespace causeway::control {
namespace {

class AnyCalls : public World {
 public:
  explicit AnyCalls(unsigned seed) : random_(seed) {
    ok("CreateCluster", "{'clusterName':'c'}");
    ok("CreateCluster", "{'clusterName':'d'}");
    for (const char* name : {"One.local", "b.one.local"}) spaces_.push_back(make_space(name));
    spaces_.push_back(make_space("plain", false));
    register_definition("f", "{'name':'web','containerPort':3000},{'name':'rpc','containerPort':3001}");
  }

  void step() {
    switch (below(16)) {
      case 0:
        return make_ecs_service();
      case 1:
        return update_ecs_service();
      case 2:
        return call("DeleteService", fmt::format("{{'cluster':'{}','service':'{}','force':true}}", cluster(), name()));
      case 3:
        return register_definition(
            "f", below(2) ? "{'name':'web','containerPort':4000}"
                          : "{'name':'web','containerPort':3000},{'name':'rpc','containerPort':3001}");
      case 4:
        return run_task();
      case 5:
        return end_task();
      case 6:
        return call_sd("CreateService",
                       fmt::format("{{'Name':'{}','NamespaceId':'{}'{}}}", name(), space().id,
                                   below(3) ? ",'DnsConfig':{'DnsRecords':[{'Type':'SRV','TTL':5}]}" : ""));
      case 7:
        return call_sd("DeleteService", fmt::format("{{'Id':'{}'}}", service()));
      case 8:
        return call_sd(
            "UpdateServiceAttributes",
            fmt::format("{{'ServiceId':'{}','Attributes':{{'causeway:retries':'{}'}}}}", service(), below(3)));
      case 9:
        return call_sd("DeregisterInstance",
                       fmt::format("{{'ServiceId':'{}','InstanceId':'i{}'}}", service(), below(5)));
      case 10:
        return call_sd("UpdateInstanceCustomHealthStatus",
                       fmt::format("{{'ServiceId':'{}','InstanceId':'i{}','Status':'{}'}}", service(), below(5),
                                   below(2) ? "HEALTHY" : "UNHEALTHY"));
      case 11:
        if (below(8) == 0) space() = make_space("space" + std::to_string(++made_));
        return;
      default:
        return call_sd(
            "RegisterInstance",
            fmt::format("{{'ServiceId':'{}','InstanceId':'i{}','Attributes':{{'AWS_INSTANCE_IPV4':'10.0.0.{}',"
                        "'AWS_INSTANCE_PORT':'{}'}}}}",
                        service(), below(5), 1 + below(4), 80 + below(2)));
    }
  }
  std::size_t accepted() const { return accepted_; }

 private:
  std::uint32_t below(std::uint32_t end) { return static_cast<std::uint32_t>(random_() % end); }
  std::string name() { return std::string(1, static_cast<char>('a' + below(6))); }
  std::string cluster() { return below(3) ? "c" : "d"; }
  NamespaceRecord& space() { return spaces_[below(static_cast<std::uint32_t>(spaces_.size()))]; }
  std::string service() {
    if (state.services.empty()) return "srv-none";
    return std::next(state.services.begin(), below(static_cast<std::uint32_t>(state.services.size())))->first;
  }
  void call(std::string_view operation, const std::string& input) { accepted_ += !run(operation, input).error; }
  void call_sd(std::string_view operation, const std::string& input) {
    accepted_ += !run_of(discovery_, operation, input).error;
  }
  std::string connect() {
    if (below(6) == 0) return "{'enabled':false}";
    const std::string alias = below(4) == 0 ? ""
                                            : fmt::format(",'clientAliases':[{{'port':{}{}}}]", 80 + below(2),
                                                          below(2) ? ",'dnsName':'" + name() + ".x'" : "");
    return fmt::format("{{'enabled':true,'namespace':'{}','services':[{{'portName':'web','discoveryName':'{}'{}}}]}}",
                       space().name, name(), alias);
  }
  void make_ecs_service() {
    call("CreateService", fmt::format("{{'cluster':'{}','serviceName':'{}','taskDefinition':'f','desiredCount':0,"
                                      "'serviceConnectConfiguration':{}}}",
                                      cluster(), name(), connect()));
  }
  void update_ecs_service() {
    call("UpdateService",
         fmt::format("{{'cluster':'{}','service':'{}','taskDefinition':'f','serviceConnectConfiguration':{}}}",
                     cluster(), name(), connect()));
  }
  void run_task() {
    for (const auto& [of_cluster, services] : state.ecs_services) {
      for (const auto& [of_name, record] : services) {
        if (record.status != "ACTIVE" || below(3)) continue;
        const auto task = start_task(of_cluster, of_name);
        if (below(2)) listen(task, 3000);
        return;
      }
    }
  }
  void end_task() {
    for (const auto& [of_cluster, tasks] : state.tasks) {
      for (const auto& [id, task] : tasks) {
        if (task.last_status == "STOPPED" || below(3)) continue;
        if (below(2))
          change([&](Call& c) { return task_deregister(c, of_cluster, id); });
        else
          stop(TaskRecord(task));
        return;
      }
    }
  }

  std::mt19937 random_;
  Operations discovery_ = service_discovery_operations();
  std::vector<NamespaceRecord> spaces_;
  std::size_t made_ = 0;
  std::size_t accepted_ = 0;
};

TEST(CompilerFollows, AnyCalls) {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    AnyCalls world(seed);
    for (int i = 0; i < 400 && !testing::Test::HasFailure(); ++i) world.step();
    EXPECT_GT(world.accepted(), 100u);
  }
}

TEST(CompilerFollows, AnInstanceTouchesItsServiceAlone) {
  World world;
  const auto space = world.make_space("n");
  const auto one = world.make_cloud_map_service(space, "one");
  const auto other = world.make_cloud_map_service(space, "other");
  world.register_instance(one, "i", {{"AWS_INSTANCE_IPV4", "10.0.0.1"}, {"AWS_INSTANCE_PORT", "80"}});
  world.register_instance(other, "i", {{"AWS_INSTANCE_IPV4", "10.0.0.2"}, {"AWS_INSTANCE_PORT", "80"}});
  const auto before = world.followed;
  world.register_instance(one, "j", {{"AWS_INSTANCE_IPV4", "10.0.0.3"}, {"AWS_INSTANCE_PORT", "80"}});
  const auto after = world.followed;
  EXPECT_EQ(after->services.at(one.number)->endpoints.size(), 2u);
  EXPECT_EQ(before->services.at(one.number)->endpoints.size(), 1u);
  EXPECT_EQ(after->services.at(other.number), before->services.at(other.number));
  EXPECT_EQ(after->cloud_map_names.at("other.n"), before->cloud_map_names.at("other.n"));
  EXPECT_TRUE(after->aliases.same_as(before->aliases));
}

}  // namespace
}  // namespace causeway::control
