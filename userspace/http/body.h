#pragma once
// Follows a body through the buffers that carry it, so that a proxy streams the bytes unchanged and knows where they
// end.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/framing.h"
#include "http/head.h"

namespace causeway::http {

struct BodyLimits {
  std::size_t max_chunk_extension = 256;  ///< bytes of one chunk's extensions
  std::size_t max_trailers = 8 * 1024;    ///< bytes of the whole trailer section
};

struct BodyStep {
  Outcome outcome = Outcome::need_more;  ///< complete: the body ends after `consumed` bytes; bad: see `reason`
  std::size_t consumed = 0;              ///< bytes that belong to the body and are valid; also when bad
  std::string_view data = {};            ///< next(): the payload among them (one run, may be empty)
  std::string_view reason = {};          ///< bad: one static line for a person
};

/// State of one body. Copyable, small, never allocates. Not thread-safe.
class BodyReader {
 public:
  /// A body that is complete at once has kind none.
  explicit BodyReader(Framing framing = {}, BodyLimits limits = {});

  /// Takes as many of `bytes` as belong to the body. They may be forwarded as they are, framing included.
  /// need_more: all were consumed. tunnel and until_close never complete by bytes.
  BodyStep read(std::string_view bytes);
  /// As read(), but stops after one run of payload, for one who takes the framing off: call until `consumed` covers the
  /// bytes or the outcome is complete.
  BodyStep next(std::string_view bytes);

  bool complete() const { return state_ == State::done; }
  /// The peer closed. True if the body may end here: complete, until_close or tunnel; false: it is cut off.
  bool may_end_by_close() const;
  /// Bytes still to come of a body with a length.
  std::uint64_t remaining() const { return remaining_; }
  /// Whether only a length says where it ends: its bytes need not be looked at.
  bool is_counted() const { return state_ == State::counted; }
  /// `bytes`, at most remaining(), of a counted body went by.
  void skip(std::uint64_t bytes) {
    remaining_ -= bytes;
    if (remaining_ == 0) state_ = State::done;
  }

 private:
  enum class State : std::uint8_t {
    done,
    bad,
    counted,  ///< a body with a length
    endless,
    size_first,
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,
    trailer_name,
    trailer_value,
    trailer_lf,
    end_lf,
  };
  BodyStep run(std::string_view bytes, bool one_run);
  void take_framing(char c);
  void take_size(char c);
  void take_trailer(char c);
  void end_size_line();
  void end_trailer_name();
  void fail(std::string_view reason);

  State state_ = State::done;
  BodyLimits limits_;
  std::uint64_t remaining_ = 0;      ///< of the length, or of the chunk
  std::size_t size_digits_ = 0;      ///< of this chunk
  std::size_t extension_bytes_ = 0;  ///< of this chunk
  std::size_t trailer_bytes_ = 0;
  std::size_t name_length_ = 0;  ///< of this trailer's name
  std::array<char, 20> name_{};  ///< its beginning
  std::string_view reason_;
};

}  // namespace causeway::http
