#pragma once
// Bytes from one connection to another and back, as they come.
#include "net/buffer.h"
#include "net/connection.h"
#include "net/splice.h"

namespace causeway::net {

/// One direction. Reads only when the last piece is written: what the sink does not take stays in the source's TCP
/// window.
struct Pump {
  Connection& source;
  Connection& sink;
  Buffer& buffer;  ///< its content goes first; borrows memory only while bytes pass
  void* context;
  void (*moved)(void* context, std::size_t bytes);  ///< after each write
  PipePool* pipes = nullptr;  ///< for a stream that fills the buffer; null: bytes are always copied
};

/// Until the source's end, which is passed on by shutting the sink's sending half down (no error then), or an error of
/// either.
Task<boost::system::error_code> pump(Pump p);

/// Both directions until both have ended. An error of one ends both: both connections are interrupted with it.
Task<boost::system::error_code> relay(Pump there, Pump back);

}  // namespace causeway::net
