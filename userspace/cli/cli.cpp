#include "cli/cli.h"

#include <cstdio>
#include <ctime>
#include <functional>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/core.h>

#include "agent/config.h"
#include "agent/explain.h"
#include "cli/client.h"
#include "cli/detach.h"
#include "cli/doctor.h"
#include "cli/run.h"
#include "cli/table.h"
#include "cli/views.h"

#ifndef CAUSEWAY_VERSION
#define CAUSEWAY_VERSION "unknown"
#endif

namespace causeway::cli {
namespace {

namespace json = boost::json;

constexpr int kFailed = 1;
constexpr int kUsage = 2;

/// What was asked on the command line.
struct Options {
  std::string config_file;
  std::string socket;
  bool json = false;
  bool all_tasks = false;
  bool force = false;
  std::string target;  // explain, set
  std::vector<std::string> assignments;
  std::string from;
  std::string cluster, service, user;  // run
  std::vector<std::string> environment;
};

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void complain(const std::string& text) {
  std::fprintf(stderr, "causeway: %s\n", printable_lines(text).c_str());
}

int fail(const std::string& text) {
  complain(text);
  return kFailed;
}

class Command {
 public:
  explicit Command(Options options) : options_(std::move(options)) {}

  /// The configuration, or all its problems on standard error.
  bool load() {
    auto loaded = agent::load_config(options_.config_file.empty() ? std::nullopt : std::optional(options_.config_file));
    for (const auto& problem : loaded.problems) complain(problem.message());
    config_ = std::move(loaded.config);
    socket_ = options_.socket.empty() ? config_.socket_path() : options_.socket;
    return loaded.ok();
  }

  int show(std::string_view target, const std::function<std::string(const json::object&)>& text) const {
    const auto answer = Client(socket_).get(target);
    if (!answer) return fail(answer.error().message());
    print(options_.json ? json::serialize(*answer) + "\n" : text(*answer));
    return 0;
  }

  int status() const {
    return show("/v1/status", [](const json::object& answer) { return status_text(answer, wants_colour()); });
  }
  int services() const {
    return show("/v1/services", [](const json::object& answer) { return services_text(answer, wants_colour()); });
  }
  int endpoints() const {
    return show("/v1/endpoints", [](const json::object& answer) { return endpoints_text(answer, wants_colour()); });
  }
  int tasks() const {
    return show("/v1/tasks", [this](const json::object& answer) {
      return tasks_text(answer, options_.all_tasks, static_cast<double>(std::time(nullptr)), wants_colour());
    });
  }
  int env() const {
    return show("/v1/env", [](const json::object& answer) { return env_text(answer); });
  }

  static constexpr int kNobodyAnswers = 3;

  int explain() const {
    const auto question = agent::parse_target(options_.target);
    if (!question) return fail(question.error().message());
    std::string target = "/v1/explain?name=" + url_encode(question->name);
    if (question->port) target += fmt::format("&port={}", *question->port);
    if (!options_.from.empty()) target += "&from=" + url_encode(options_.from);
    const auto answer = Client(socket_).get(target);
    if (!answer) return fail(answer.error().message());
    print(options_.json ? json::serialize(*answer) + "\n" : explain_text(*answer, wants_colour()));
    const auto* verdict = answer->if_contains("verdict");
    const bool reached = verdict != nullptr && (*verdict == "answered" || *verdict == "direct");
    return reached ? 0 : kNobodyAnswers;
  }

  /// NAMESPACE/DISCOVERY-NAME, and KEY=VALUE or KEY= each.
  int set() const {
    json::object put;
    json::array remove;
    std::vector<std::string> keys;
    for (const std::string& assignment : options_.assignments) {
      const std::size_t equals = assignment.find('=');
      if (equals == std::string::npos || equals == 0)
        return fail(fmt::format("set {}: give KEY=VALUE, or KEY= to remove it", assignment));
      keys.push_back(assignment.substr(0, equals));
      if (equals + 1 == assignment.size())
        remove.emplace_back(keys.back());
      else
        put[keys.back()] = assignment.substr(equals + 1);
    }
    const auto text = [&keys](const json::object& answer) { return settings_text(answer, keys, wants_colour()); };
    if (keys.empty()) return show("/v1/settings?service=" + url_encode(options_.target), text);
    const auto answer = Client(socket_).post(
        "/v1/settings", {{"service", options_.target}, {"set", std::move(put)}, {"remove", std::move(remove)}});
    if (!answer) return fail(answer.error().message());
    print(options_.json ? json::serialize(*answer) + "\n" : text(*answer));
    return 0;
  }

  int doctor() const {
    const auto checks = examine(config_, socket_);
    print(options_.json ? doctor_json(checks) : doctor_text(checks, wants_colour()));
    return verdict(checks);
  }

  int detach_all() const {
    const auto drain =
        std::chrono::duration_cast<std::chrono::milliseconds>(config_.proxy.drain) + std::chrono::seconds(1);
    const auto detached = detach(config_, options_.force, drain);
    if (!detached) return fail(detached.error().message());
    if (options_.json) {
      json::array removed(detached->removed.begin(), detached->removed.end());
      json::array kept(detached->kept.begin(), detached->kept.end());
      print(json::serialize(json::object{{"removed", std::move(removed)}, {"kept", std::move(kept)}}) + "\n");
      return 0;
    }
    for (const std::string& each : detached->removed) print("removed " + each + "\n");
    for (const std::string& each : detached->kept) print("kept    " + each + "\n");
    if (detached->removed.empty() && detached->kept.empty()) print("nothing was attached\n");
    return 0;
  }

  int run(std::vector<std::string> program) const {
    RunRequest request{options_.cluster, options_.service, options_.user, {}, std::move(program)};
    for (const std::string& assignment : options_.environment) {
      auto parsed = parse_environment(assignment);
      if (!parsed) {
        std::fprintf(stderr, "causeway run: %s\n", printable_lines(parsed.error().message()).c_str());
        return kNoTask;
      }
      request.environment.push_back(std::move(*parsed));
    }
    return run_task(Client(socket_), request);
  }

 private:
  Options options_;
  agent::Config config_;
  std::string socket_;
};

void describe_run(CLI::App& run, Options& options) {
  run.add_option("--cluster", options.cluster, "ECS cluster of the service")->required();
  run.add_option("--service", options.service, "ECS service that the program is a task of")->required();
  run.add_option("--user", options.user, "Account that the program runs as");
  run.add_option("--env", options.environment, "NAME=VALUE for the program; may be repeated")->allow_extra_args(false);
  run.footer(
      "Everything behind -- is the program and its arguments. Exit status and signals are the program's;\n"
      "125: no task could be started, 126: the program cannot be executed, 127: it is not found.");
}

/// Takes the program off behind the first "--": its options are not ours.
std::vector<std::string> split_program(int& argc, char** argv) {
  std::vector<std::string> program;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) != "--") continue;
    for (int j = i + 1; j < argc; ++j) program.emplace_back(argv[j]);
    argc = i;
    break;
  }
  return program;
}

}  // namespace

int run_command_line(int argc, char** argv) {
  Options options;
  CLI::App app("Looks at and works with this host's Causeway agent.", "causeway");
  app.set_version_flag("--version", "causeway " CAUSEWAY_VERSION);
  app.add_option("--config", options.config_file, "The agent's configuration (default: /etc/causeway/causeway.toml)");
  app.add_option("--socket", options.socket, "The agent's socket (default: as the configuration says)");
  app.add_flag("--json", options.json, "Answer in JSON, for programs");
  app.require_subcommand(1);
  app.fallthrough();

  CLI::App* status = app.add_subcommand("status", "The agent, its proxy, and what the data path carries");
  CLI::App* services = app.add_subcommand("services", "Discovery names, their aliases and counters");
  CLI::App* endpoints = app.add_subcommand("endpoints", "Every endpoint and its health");
  CLI::App* tasks = app.add_subcommand("tasks", "Tasks of this host");
  tasks->add_flag("--all", options.all_tasks, "Those that have stopped, too");
  CLI::App* explain = app.add_subcommand("explain", "What a dial of a name would meet, step by step");
  explain->add_option("target", options.target, "NAME[:PORT]")->required();
  explain->add_option("--from", options.from, "Dialled by a task of CLUSTER/SERVICE (default: by the host)");
  CLI::App* set = app.add_subcommand("set", "Shows a service's settings, or changes some of them");
  set->add_option("service", options.target, "NAMESPACE/DISCOVERY-NAME")->required();
  set->add_option("settings", options.assignments, "KEY=VALUE, or KEY= to remove it (docs/settings.md)");
  CLI::App* doctor = app.add_subcommand("doctor", "Whether this host gives what the agent needs");
  CLI::App* env = app.add_subcommand("env", "Shell commands that set AWS clients up: eval \"$(causeway env)\"");
  CLI::App* run = app.add_subcommand("run", "Runs a program as a task of an ECS service");
  describe_run(*run, options);
  CLI::App* detach = app.add_subcommand("detach", "Removes what an agent that crashed left in the kernel");
  detach->add_flag("--force", options.force, "Even while an agent runs");

  std::vector<std::string> program = split_program(argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    if (code != 0 && run->parsed() && program.empty()) {
      std::fprintf(stderr, "The program stands behind --: causeway run --cluster C --service S -- PROGRAM ARGS\n");
    }
    return code == 0 ? 0 : run->parsed() ? kNoTask : kUsage;
  }
  Command command(options);
  if (!command.load() && (options.socket.empty() || doctor->parsed() || detach->parsed()))
    return run->parsed() ? kNoTask : kFailed;
  if (status->parsed()) return command.status();
  if (services->parsed()) return command.services();
  if (endpoints->parsed()) return command.endpoints();
  if (tasks->parsed()) return command.tasks();
  if (explain->parsed()) return command.explain();
  if (set->parsed()) return command.set();
  if (doctor->parsed()) return command.doctor();
  if (env->parsed()) return command.env();
  if (run->parsed()) return command.run(std::move(program));
  if (detach->parsed()) return command.detach_all();
  return kUsage;
}

}  // namespace causeway::cli
