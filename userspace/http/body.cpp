#include "http/body.h"

#include <algorithm>

#include "http/chars.h"

namespace causeway::http {

namespace {

/// A chunk may be up to 2^60 - 1 bytes long: no overflow here, and none in an implementation with signed 64 bits.
constexpr std::size_t kMaxSizeDigits = 15;

std::uint64_t hex_value(char c) {
  if (c <= '9') return static_cast<std::uint64_t>(c - '0');
  return static_cast<std::uint64_t>(to_lower(c) - 'a') + 10;
}

/// Trailers that would frame or route the message if somebody merged them into its head (RFC 9110, 6.5.1), and those of
/// this hop alone.
bool is_forbidden_trailer(std::string_view name) {
  for (const std::string_view forbidden :
       {"content-length", "transfer-encoding", "host", "connection", "te", "upgrade", "trailer", "expect", "keep-alive",
        "proxy-connection", "x-forwarded-proto"}) {
    if (equals_in_cgi(name, forbidden)) return true;
  }
  return false;
}

}  // namespace

BodyReader::BodyReader(Framing framing, BodyLimits limits) : limits_(limits), remaining_(framing.length) {
  switch (framing.kind) {
    case BodyKind::none:
      state_ = State::done;
      break;
    case BodyKind::length:
      state_ = framing.length > 0 ? State::counted : State::done;
      break;
    case BodyKind::chunked:
      state_ = State::size_first;
      break;
    case BodyKind::until_close:
    case BodyKind::tunnel:
      state_ = State::endless;
      break;
  }
}

BodyStep BodyReader::read(std::string_view bytes) {
  return run(bytes, false);
}

BodyStep BodyReader::next(std::string_view bytes) {
  return run(bytes, true);
}

BodyStep BodyReader::run(std::string_view bytes, bool one_run) {
  BodyStep step;
  while (step.consumed < bytes.size() && state_ != State::done && state_ != State::bad) {
    if (state_ == State::counted || state_ == State::data || state_ == State::endless) {
      std::size_t run = bytes.size() - step.consumed;
      if (state_ != State::endless) {
        run = static_cast<std::size_t>(std::min<std::uint64_t>(run, remaining_));
        remaining_ -= run;
      }
      step.data = bytes.substr(step.consumed, run);
      step.consumed += run;
      if (remaining_ == 0 && state_ == State::counted) state_ = State::done;
      if (remaining_ == 0 && state_ == State::data) state_ = State::data_cr;
      if (one_run) break;
    } else {
      take_framing(bytes[step.consumed]);
      if (state_ != State::bad) ++step.consumed;
    }
  }
  if (state_ == State::done) step.outcome = Outcome::complete;
  if (state_ == State::bad) {
    step.outcome = Outcome::bad;
    step.reason = reason_;
  }
  return step;
}

bool BodyReader::may_end_by_close() const {
  return state_ == State::done || state_ == State::endless;
}

void BodyReader::fail(std::string_view reason) {
  state_ = State::bad;
  reason_ = reason;
}

void BodyReader::take_framing(char c) {
  switch (state_) {
    case State::size_first:
    case State::size:
    case State::extension:
      return take_size(c);
    case State::size_lf:
      return c == '\n' ? end_size_line() : fail("a chunk's size line has CR without LF");
    case State::data_cr:
      if (c != '\r') return fail("a chunk is longer than its size");
      state_ = State::data_lf;
      return;
    case State::data_lf:
      if (c != '\n') return fail("a chunk ends in CR without LF");
      state_ = State::size_first;
      return;
    case State::end_lf:
      if (c != '\n') return fail("the last chunk ends in CR without LF");
      state_ = State::done;
      return;
    default:
      if (++trailer_bytes_ > limits_.max_trailers) return fail("the trailers are too long");
      return take_trailer(c);
  }
}

void BodyReader::take_size(char c) {
  if (state_ == State::extension) {
    if (c == '\r') {
      state_ = State::size_lf;
    } else if (!is(c, kFieldChar)) {
      fail("a chunk's extension has a control character");
    } else if (++extension_bytes_ > limits_.max_chunk_extension) {
      fail("a chunk's extensions are too long");
    }
    return;
  }
  if (is(c, kHex)) {
    if (state_ == State::size_first) {
      remaining_ = size_digits_ = extension_bytes_ = 0;
      state_ = State::size;
    }
    if (++size_digits_ > kMaxSizeDigits) return fail("a chunk's size is too large");
    remaining_ = remaining_ * 16 + hex_value(c);
    return;
  }
  // No sign, no 0x, no white space around the size: RFC 9112, 7.1 has 1*HEXDIG.
  if (state_ == State::size_first) return fail("a chunk does not begin with its size");
  if (c == ';') {
    state_ = State::extension;
  } else if (c == '\r') {
    state_ = State::size_lf;
  } else {
    fail("a chunk's size is not a hexadecimal number");
  }
}

void BodyReader::end_size_line() {
  state_ = remaining_ > 0 ? State::data : State::trailer_start;
}

void BodyReader::take_trailer(char c) {
  switch (state_) {
    case State::trailer_start:
      if (c == '\r') {
        state_ = State::end_lf;
        return;
      }
      name_length_ = 0;
      state_ = State::trailer_name;
      [[fallthrough]];
    case State::trailer_name:
      if (c == ':') return end_trailer_name();
      if (!is(c, kTchar)) return fail("a trailer's name has a forbidden character");
      if (name_length_ < name_.size()) name_[name_length_] = c;
      ++name_length_;
      return;
    case State::trailer_value:
      if (c == '\r') {
        state_ = State::trailer_lf;
      } else if (!is(c, kFieldChar)) {
        fail("a trailer's value has a control character");
      }
      return;
    default:
      if (c != '\n') return fail("a trailer ends in CR without LF");
      state_ = State::trailer_start;
      return;
  }
}

void BodyReader::end_trailer_name() {
  if (name_length_ == 0) return fail("a trailer has no name");
  if (name_length_ <= name_.size() && is_forbidden_trailer({name_.data(), name_length_})) {
    return fail("a trailer frames or routes the message");
  }
  state_ = State::trailer_value;
}

}  // namespace causeway::http
