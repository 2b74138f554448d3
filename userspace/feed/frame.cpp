#include "feed/frame.h"

#include <cstring>

#include <arpa/inet.h>
#include <fmt/core.h>

namespace causeway::feed {

Result<void> append_frame(std::string& out, std::string_view message, std::size_t limit) {
  if (message.empty() || message.size() > limit) {
    return make_error("encode", "feed frame", fmt::format("{} bytes, allowed are 1 to {}", message.size(), limit));
  }
  const std::uint32_t length = htonl(static_cast<std::uint32_t>(message.size()));
  out.append(reinterpret_cast<const char*>(&length), sizeof length);
  out.append(message);
  return {};
}

std::uint32_t read_frame_length(const char (&header)[kFrameHeaderBytes]) {
  std::uint32_t length = 0;
  std::memcpy(&length, header, sizeof length);
  return ntohl(length);
}

Result<std::optional<std::string_view>> FrameReader::next() {
  if (consumed_ > 0) {
    pending_.erase(0, consumed_);
    consumed_ = 0;
    // A full snapshot is large and rare: its memory goes back.
    if (pending_.capacity() > 64 * 1024 && pending_.size() < 4 * 1024) pending_.shrink_to_fit();
  }
  if (pending_.size() < kFrameHeaderBytes) return std::optional<std::string_view>{};
  char header[kFrameHeaderBytes];
  std::memcpy(header, pending_.data(), sizeof header);
  const std::size_t length = read_frame_length(header);
  if (length == 0 || length > limit_) {
    return make_error("read", "feed frame", fmt::format("length {}, allowed are 1 to {}", length, limit_));
  }
  if (pending_.size() < kFrameHeaderBytes + length) return std::optional<std::string_view>{};
  consumed_ = kFrameHeaderBytes + length;
  return std::optional<std::string_view>(std::string_view(pending_).substr(kFrameHeaderBytes, length));
}

}  // namespace causeway::feed
