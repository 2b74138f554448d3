#pragma once
// `causeway run`: becomes a program that is a task.
#include <string>
#include <utility>
#include <vector>

#include "cli/client.h"

namespace causeway::cli {

inline constexpr int kNoTask = 125;         ///< the agent gave no task, or what was asked is wrong
inline constexpr int kNotExecutable = 126;  ///< as shells answer
inline constexpr int kNotFound = 127;

struct RunRequest {
  std::string cluster;
  std::string service;
  std::string user;  ///< "": stays who it is
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<std::string> command;  ///< program and its arguments
};

/// "K=V" split; K must be a name as shells take it ([A-Za-z_][A-Za-z0-9_]*).
Result<std::pair<std::string, std::string>> parse_environment(const std::string& assignment);

/// What execvp(3) would run: the path, or errno ENOENT (not found) or EACCES (not executable, a directory) in `code`.
Result<std::string> find_program(const std::string& program, const std::string& search_path);

/// Checks program and user, asks the agent for a task (which moves this process into the task's cgroup), and becomes
/// the program: process id, signals, exit status, open files and working directory are the program's. Returns an exit
/// status only if it failed, having said why on standard error. No thread may run.
int run_task(const Client& client, const RunRequest& request);

}  // namespace causeway::cli
