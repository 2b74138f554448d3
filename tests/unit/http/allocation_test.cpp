// On a warm connection the codec allocates nothing: counted by this program's own operator new.
#include <cstdlib>
#include <new>
#include <string>

#include <gtest/gtest.h>

#include "http/body.h"
#include "http/rewrite.h"

namespace {
std::size_t allocations = 0;
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace causeway::http {
namespace {

const std::string kRequest =
    "POST /api/users/123 HTTP/1.1\r\nHost: user-svc\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\nAccept: */*\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";
const std::string kBody = "5;a=b\r\nhello\r\n0\r\nX-Checksum: 1\r\n\r\n";
const std::string kResponse = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n";

std::size_t allocations_of_exchange(RequestParser& request, ResponseParser& response, std::string& out) {
  static FastRandom random(7);
  const std::size_t before = allocations;
  request.reset();
  response.reset();
  out.clear();
  EXPECT_EQ(request.parse(kRequest).outcome, Outcome::complete);
  append_request_head(request.head(), {&random, "http", "user-svc"}, out);
  BodyReader body(request_framing(request.head()));
  EXPECT_EQ(body.read(kBody).outcome, Outcome::complete);
  EXPECT_EQ(response.parse(kResponse).outcome, Outcome::complete);
  append_response_head(response.head(), {}, out);
  return allocations - before;
}

TEST(Allocation, NoneOnceWarm) {
  RequestParser request;
  ResponseParser response;
  std::string out;
  EXPECT_GT(allocations_of_exchange(request, response, out), 0u);  // the counter counts
  EXPECT_EQ(allocations_of_exchange(request, response, out), 0u);
}

}  // namespace
}  // namespace causeway::http
