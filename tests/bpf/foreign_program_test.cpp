// Beside a program of somebody else that turns the callbacks off by which the end of a connection is told.
#include <chrono>

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "foreign.skel.h"
#include "path_host.h"

namespace causeway::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kOne = "127.254.1.1:3000";

class BesideAnother : public PathHost {
 protected:
  void SetUp() override {
    PathHost::SetUp();
    program_ = foreign_bpf__open_and_load();
    ASSERT_NE(program_, nullptr);
    const Fd cgroup(::open(host.c_str(), O_DIRECTORY | O_CLOEXEC));
    link_ = bpf_program__attach_cgroup(program_->progs.clear_callbacks, cgroup.get());
    ASSERT_NE(link_, nullptr) << error_name(errno);
  }
  void TearDown() override {
    bpf_link__destroy(link_);
    foreign_bpf__destroy(program_);
    PathHost::TearDown();
  }

 private:
  foreign_bpf* program_ = nullptr;
  bpf_link* link_ = nullptr;
};

TEST_F(BesideAnother, PlacesAreGivenBackWhenTheProcessCloses) {
  const Fd listener = listener_on(at(kOne));
  settings_.max_connections = 3;
  serve({kOne});
  EXPECT_EQ(in_cgroup(host,
                      [] {
                        for (int i = 0; i < 12; ++i) {
                          const std::string says = dial_tcp(at(kAlias), AF_INET);
                          if (says != std::string("ok ") + kAlias) return fmt::format("dial {}: {}", i, says);
                        }
                        return std::string("all answered");
                      }),
            "all answered");
  EXPECT_EQ(plane->active(ServiceId(10)), 0);
  EXPECT_EQ(plane->active(EndpointId(1000)), 0);
  EXPECT_EQ(counted().opened, 12u);
  EXPECT_EQ(counted().closed, 12u);
  EXPECT_EQ(counted().failed[CW_FAILED_LIMIT], 0u);
}

TEST_F(BesideAnother, AndWhenItIsKilled) {
  const Fd listener = listener_on(at(kOne));
  serve({kOne});
  Child client(host, [](Channel& channel) {
    const Fd one = tcp_socket(AF_INET), two = tcp_socket(AF_INET6);
    channel.say(error_name(connect_to(one, at(kAlias), AF_INET)) + error_name(connect_to(two, at(kAlias), AF_INET6)));
    channel.hear();
  });
  ASSERT_EQ(client.hear(), "okok");
  EXPECT_EQ(plane->active(ServiceId(10)), 2);
  client.kill(SIGKILL);
  EXPECT_EQ(plane->active(ServiceId(10)), 0);
}

}  // namespace
}  // namespace causeway::test
