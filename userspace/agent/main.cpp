#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <signal.h>

#include <cstdio>
#include <exception>

#include "agent/agent.h"
#include "agent/config.h"
#include "base/log.h"

namespace {

using namespace causeway;

void follow_signals(boost::asio::signal_set& signals, agent::Agent& agent) {
  signals.async_wait([&](boost::system::error_code error, int signal) {
    if (error) return;
    if (signal == SIGHUP) {
      agent.reopen_logs();
    } else {
      agent.stop();
    }
    follow_signals(signals, agent);
  });
}

int run(agent::Config config) {
  log::set_name("causewayd");
  log::set_level(config.log.level);
  ::signal(SIGPIPE, SIG_IGN);
  boost::asio::io_context context{1};
  agent::Agent agent(context, std::move(config));
  boost::asio::signal_set signals(context, SIGTERM, SIGINT, SIGHUP);
  if (auto started = agent.start(); !started) {
    log::error("{}", started.error().message());
    return 1;
  }
  follow_signals(signals, agent);
  context.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"The Causeway agent: one a host, as root"};
  std::optional<std::string> path;
  bool check = false;
  app.add_option("--config", path, "Configuration file (default: /etc/causeway/causeway.toml, if it is there)");
  app.add_flag("--check", check, "Only validate the configuration");
  app.set_version_flag("--version", CAUSEWAY_VERSION);
  CLI11_PARSE(app, argc, argv);
  try {
    if (check) return agent::check_config(path);
    auto loaded = agent::load_config(path);
    for (const auto& problem : loaded.problems) std::fprintf(stderr, "%s\n", problem.message().c_str());
    return loaded.ok() ? run(std::move(loaded.config)) : 1;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "causewayd: %s\n", failure.what());
    return 1;
  }
}
