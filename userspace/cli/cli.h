#pragma once
// The `causeway` command.

namespace causeway::cli {

/// Parses and runs; returns the exit status: 0, 1 (it failed), 2 (wrong usage). `run` does not return once the program
/// runs; before that it fails as shells and container tools do: 125 (no task), 126 (not executable), 127 (not found).
int run_command_line(int argc, char** argv);

}  // namespace causeway::cli
