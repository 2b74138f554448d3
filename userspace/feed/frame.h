#pragma once
// Frames of the feed: four bytes of length, network order, then the message.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace causeway::feed {

inline constexpr std::size_t kFrameHeaderBytes = 4;
/// Agent to proxy. The encoder starts a new part well before this, so only a broken peer exceeds it.
inline constexpr std::size_t kMaxFrameToProxy = 16u << 20;
/// Proxy to agent: acknowledgements only. The proxy reads strangers' bytes, so it gets little room.
inline constexpr std::size_t kMaxFrameToAgent = 256;

/// Appends a frame around `message` to `out`; an Error where the message exceeds `limit` bytes.
Result<void> append_frame(std::string& out, std::string_view message, std::size_t limit);

std::uint32_t read_frame_length(const char (&header)[kFrameHeaderBytes]);

/// Cuts a stream of bytes into frames. Holds at most one frame and what was read behind it.
class FrameReader {
 public:
  explicit FrameReader(std::size_t limit) : limit_(limit) {}

  /// Takes bytes as they came.
  void feed(std::string_view bytes) { pending_.append(bytes); }
  /// The next whole message, valid until the next call; nothing if it has not come yet; an Error if its length is zero
  /// or beyond the limit, after which the stream cannot be read on.
  Result<std::optional<std::string_view>> next();

 private:
  std::size_t limit_;
  std::size_t consumed_ = 0;
  std::string pending_;
};

}  // namespace causeway::feed
