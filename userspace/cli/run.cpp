#include "cli/run.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/account.h"
#include "cli/table.h"

namespace causeway::cli {
namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

int complain(int status, const std::string& text) {
  std::fprintf(stderr, "causeway run: %s\n", printable_lines(text).c_str());
  return status;
}

/// 0, or why this file cannot be run.
int executable(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return errno;
  if (!S_ISREG(info.st_mode)) return EACCES;
  return ::access(path.c_str(), X_OK) == 0 ? 0 : errno;
}

std::string member_text(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

void set_environment(const RunRequest& request, const std::optional<agent::Account>& account) {
  if (account) {
    ::setenv("HOME", account->home.c_str(), 1);
    ::setenv("USER", account->name.c_str(), 1);
    ::setenv("LOGNAME", account->name.c_str(), 1);
    if (!account->shell.empty()) ::setenv("SHELL", account->shell.c_str(), 1);
  }
  for (const auto& [name, value] : request.environment) ::setenv(name.c_str(), value.c_str(), 1);
}

std::string search_path() {
  const char* path = std::getenv("PATH");
  return path != nullptr && *path != '\0' ? path : kDefaultPath;
}

}  // namespace

Result<std::pair<std::string, std::string>> parse_environment(const std::string& assignment) {
  const auto wrong = [&] {
    return make_error("use", "--env " + assignment, "it must be NAME=VALUE, NAME of letters, digits and _");
  };
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) return wrong();
  for (std::size_t i = 0; i < equals; ++i) {
    const char c = assignment[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && (i == 0 || c < '0' || c > '9')) return wrong();
  }
  return std::pair(assignment.substr(0, equals), assignment.substr(equals + 1));
}

Result<std::string> find_program(const std::string& program, const std::string& path) {
  const auto verdict = [&program](int code) { return errno_error(code, "run", program); };
  if (program.empty()) return verdict(ENOENT);
  if (program.find('/') != std::string::npos) {
    if (const int why = executable(program); why != 0) return verdict(why);
    return {boost::system::in_place_value, program};
  }
  int seen = ENOENT;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t colon = std::min(path.find(':', at), path.size());
    const std::string directory = path.substr(at, colon - at);
    const std::string candidate = (directory.empty() ? "." : directory) + "/" + program;
    const int why = executable(candidate);
    if (why == 0) return {boost::system::in_place_value, candidate};
    if (why == EACCES) seen = EACCES;
    at = colon + 1;
  }
  Error error = verdict(seen);
  if (seen == ENOENT) error.cause = "no such program in PATH";
  return error;
}

int run_task(const Client& client, const RunRequest& request) {
  if (request.command.empty())
    return complain(kNoTask, "which program? causeway run --cluster C --service S -- PROGRAM ARGS");
  std::optional<agent::Account> account;
  if (!request.user.empty()) {
    auto found = agent::find_account(request.user);
    if (!found) return complain(kNoTask, found.error().message());
    account = std::move(*found);
  }
  set_environment(request, account);
  // Before a task is asked for: a typing mistake must not register anything.
  const auto program = find_program(request.command.front(), search_path());
  if (!program) return complain(program.error().code == EACCES ? kNotExecutable : kNotFound, program.error().message());

  const auto task = client.post("/v1/tasks", {{"cluster", request.cluster}, {"service", request.service}});
  if (!task) return complain(kNoTask, task.error().message());
  ::setenv("CAUSEWAY_TASK_ID", member_text(*task, "id").c_str(), 1);
  ::setenv("CAUSEWAY_TASK_ADDRESS", member_text(*task, "address").c_str(), 1);
  if (account && !agent::become(*account)) {
    return complain(kNoTask, errno_error(errno, "become user", account->name).message());
  }
  std::vector<char*> arguments;
  for (const std::string& argument : request.command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  // execvp, not execv of what was found: it runs a script without "#!" by the shell, as shells do.
  ::execvp(program->c_str(), arguments.data());
  const int why = errno;
  return complain(why == ENOENT ? kNotFound : kNotExecutable, errno_error(why, "run", *program).message());
}

}  // namespace causeway::cli
