#pragma once
// The proxy with an access log, and its lines.
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <boost/json.hpp>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"
#include "observe/log_writer.h"

namespace causeway::proxy::test {

namespace json = boost::json;

template <class T>
json::value is(const T& value) {
  return json::value_from(value);
}

constexpr AccessLogSettings kJson{AccessLogFormat::json, false};

class AccessLogTest : public ProxyTest {
 protected:
  AccessLogTest() {
    char name[] = "/tmp/causeway-access-XXXXXX";
    const Fd file(::mkostemp(name, O_CLOEXEC | O_APPEND));
    path_ = name;
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    const Fd agent(ends[0]);
    log_control_ = Fd(ends[1]);
    EXPECT_TRUE(observe::send_log_output(agent.get(), file.get()));
  }
  ~AccessLogTest() override { ::unlink(path_.c_str()); }

  /// Ends the proxy, which writes what it has.
  std::string text() {
    on_main([this] { proxy_.reset(); });
    std::stringstream all;
    all << std::ifstream(path_).rdbuf();
    return all.str();
  }
  std::vector<json::object> lines() {
    std::vector<json::object> out;
    std::stringstream all(text());
    for (std::string line; std::getline(all, line);) out.push_back(json::parse(line).as_object());
    return out;
  }
  /// Of the only line.
  json::object only_line() {
    auto all = lines();
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? json::object{{"flags", json::array()}, {"reason", nullptr}, {"status", -1}} : all.front();
  }
  void expect_line(int status, const json::array& flags, std::string_view reason) {
    const auto line = only_line();
    EXPECT_EQ(line.at("status"), is(status)) << line;
    EXPECT_EQ(line.at("flags"), is(flags)) << line;
    const auto* said = line.at("reason").if_string();
    EXPECT_EQ(said == nullptr ? std::string_view() : std::string_view(*said), reason);
  }
  std::uint64_t answered() const {
    const auto all = totals();
    return all.requests[0] + all.requests[2] + all.requests[4] + all.requests[5];
  }

  std::string path_;
};

inline void hang(Peer& peer) {
  peer.read_all();
}

}  // namespace causeway::proxy::test
