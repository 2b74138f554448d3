#pragma once
// What lies under the pin root: links/NAME and maps-VERSION/NAME.
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace causeway::kernel {

std::string links_directory(const std::string& pin_root);
/// Maps of another ABI version lie in another directory: they are never taken for ours.
std::string maps_directory(const std::string& pin_root);

/// Makes both directories.
Result<void> make_pin_directories(const std::string& pin_root);
/// Held by the agent whose pins these are, for its life; an Error where another has it. After make_pin_directories().
Result<Fd> lock_pins(const std::string& pin_root);
/// The pinned object, or an empty Fd if there is none.
Result<Fd> open_pin(const std::string& path);
Result<void> pin(int fd, const std::string& path);
/// No error if there is none.
Result<void> unpin(const std::string& path);
/// Removes maps that an agent of another ABI version left; its links must be gone.
void remove_foreign_maps(const std::string& pin_root);

}  // namespace causeway::kernel
