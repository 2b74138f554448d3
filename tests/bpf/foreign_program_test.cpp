// Beside a program of somebody else that clears the callbacks by which the end of a connection is told.
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

/// Dials, sends a byte, waits for the answer, and ends when it hears so.
void talk(Channel& channel) {
  const Fd fd = tcp_socket(AF_INET);
  char byte = 'x';
  const bool answered = connect_to(fd, at(kAlias), AF_INET) == 0 && ::send(fd.get(), &byte, 1, 0) == 1 &&
                        ::recv(fd.get(), &byte, 1, 0) == 1;
  channel.say(answered ? "answered" : error_name(errno));
  channel.hear();
}

class BesideAnother : public PathHost {
 protected:
  void SetUp() override {
    PathHost::SetUp();
    programs_ = foreign_bpf__open_and_load();
    ASSERT_NE(programs_, nullptr);
  }
  void TearDown() override {
    bpf_link__destroy(link_);
    foreign_bpf__destroy(programs_);
    PathHost::TearDown();
  }
  void attach(bpf_program* program) {
    const Fd cgroup(::open(host.c_str(), O_DIRECTORY | O_CLOEXEC));
    link_ = bpf_program__attach_cgroup(program, cgroup.get());
    ASSERT_NE(link_, nullptr) << error_name(errno);
  }
  void expect_none_active() {
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    while (plane->active(ServiceId(10)) != 0 && std::chrono::steady_clock::now() < deadline) ::usleep(1000);
    EXPECT_EQ(plane->active(ServiceId(10)), 0);
    EXPECT_EQ(plane->active(EndpointId(1000)), 0);
  }
  /// A client dials, sends a byte, is answered, and is killed; the server's end stays open.
  Fd talk_once(const Fd& listener) {
    Child client(host, talk);
    Fd accepted = accept_from(listener);
    char byte = 0;
    EXPECT_EQ(::recv(accepted.get(), &byte, 1, 0), 1);
    EXPECT_EQ(::send(accepted.get(), &byte, 1, 0), 1);
    EXPECT_EQ(client.hear(), "answered");
    client.kill(SIGKILL);
    return accepted;
  }

  foreign_bpf* programs_ = nullptr;

 private:
  bpf_link* link_ = nullptr;
};

TEST_F(BesideAnother, AConnectionIsCountedInFull) {
  attach(programs_->progs.want_none);
  const Fd listener = listener_on(at(kOne));
  serve({kOne});
  for (int i = 0; i < 3; ++i) {
    const Fd accepted = talk_once(listener);
  }
  expect_none_active();
  const cw_counters counters = counted();
  EXPECT_EQ(counters.opened, 3u);
  EXPECT_EQ(counters.closed, 3u);
  EXPECT_EQ(counters.bytes_sent, 3u);
  EXPECT_EQ(counters.bytes_received, 3u);
}

TEST_F(BesideAnother, APlaceIsGivenBackWhenItsProcessCloses) {
  attach(programs_->progs.want_none_later);
  settings_.max_connections = 2;
  const Fd listener = listener_on(at(kOne));
  serve({kOne});
  for (int i = 0; i < 8; ++i) {
    const Fd accepted = talk_once(listener);
    EXPECT_EQ(plane->active(ServiceId(10)), 0) << "at once: the server has not closed yet";
  }
  expect_none_active();
  const cw_counters counters = counted();
  EXPECT_EQ(counters.opened, 8u);
  EXPECT_EQ(counters.closed, 8u);
  EXPECT_EQ(counters.failed[CW_FAILED_LIMIT], 0u);
}

}  // namespace
}  // namespace causeway::test
