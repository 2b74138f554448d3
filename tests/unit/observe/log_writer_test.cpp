// The way of lines from workers to an output, with real files, pipes and sockets.
#include "observe/log_writer.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <optional>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "observe/access_log.h"

namespace causeway::observe {
namespace {

using namespace std::chrono_literals;

constexpr AccessLogSettings kLogged{AccessLogFormat::text, false};

bool soon(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

std::size_t lines_in(std::string_view text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// A writer with `workers` logs, and the agent's end of its control socket.
class LogWriterTest : public ::testing::Test {
 protected:
  void make(std::size_t workers = 1) {
    slab_.emplace(Slab::create(workers).value());
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    agent_ = Fd(ends[0]);
    writer_ = std::make_unique<LogWriter>(Fd(ends[1]), workers, *slab_);
    for (std::size_t w = 0; w < workers; ++w)
      logs_.push_back(std::make_unique<AccessLog>(writer_->ring(w), *writer_, slab_->worker(w)));
  }
  void TearDown() override {
    finish();
    for (const auto& path : paths_) ::unlink(path.c_str());
  }
  /// What a proxy does at its end.
  void finish() {
    logs_.clear();
    writer_.reset();
  }

  std::string new_path() {
    char name[] = "/tmp/causeway-log-XXXXXX";
    ::close(::mkstemp(name));
    return paths_.emplace_back(name);
  }
  static Fd open_log(const std::string& path) {
    return Fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600));
  }
  void give(const Fd& output) { ASSERT_TRUE(send_log_output(agent_.get(), output.get())); }
  static std::string text_of(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  void write(std::string_view path, std::size_t worker = 0) {
    AccessRecord record;
    record.path = path;
    logs_[worker]->write(record, kLogged);
  }
  std::uint64_t dropped() const { return slab_->worker(0).access_log_dropped; }
  std::uint64_t unwritten() const { return slab_->worker(0).access_log_unwritten; }

  std::optional<Slab> slab_;
  Fd agent_;
  std::unique_ptr<LogWriter> writer_;
  std::vector<std::unique_ptr<AccessLog>> logs_;
  std::vector<std::string> paths_;
};

/// Reads what is there, and then until `lines` are.
std::string read_lines(int fd, std::size_t lines) {
  std::string text;
  char bytes[65536];
  while (lines_in(text) < lines) {
    pollfd ready{fd, POLLIN, 0};
    if (::poll(&ready, 1, 10'000) <= 0) break;
    const ssize_t n = ::read(fd, bytes, sizeof bytes);
    if (n <= 0) break;
    text.append(bytes, static_cast<std::size_t>(n));
  }
  return text;
}

/// Every line is one that write() wrote, none is torn or doubled; their number.
std::size_t check_lines(const std::string& text) {
  std::stringstream in(text);
  std::size_t count = 0;
  std::set<std::string> seen;
  for (std::string line; std::getline(in, line); ++count) {
    EXPECT_TRUE(line.starts_with("[1970-01-01T00:00:00.000Z] \"- /") && line.ends_with("\" - -")) << line;
    EXPECT_TRUE(seen.insert(line).second) << line;
  }
  return count;
}

TEST_F(LogWriterTest, WritesTheLinesOfAllWorkersInTheirOrder) {
  make(2);
  const auto path = new_path();
  give(open_log(path));
  writer_->start();
  for (int i = 0; i < 20'000; ++i) {
    write("/0/" + std::to_string(i), 0);
    write("/1/" + std::to_string(i), 1);
  }
  finish();
  const auto text = text_of(path);
  EXPECT_EQ(check_lines(text), 40'000u);
  EXPECT_LT(text.find("/0/1 "), text.find("/0/19999 "));
  EXPECT_EQ(dropped() + unwritten(), 0u);
  EXPECT_EQ(slab_->worker(0).access_log_lines + slab_->worker(1).access_log_lines, 40'000u);
}

TEST_F(LogWriterTest, ATickBringsLinesToTheOutput) {
  make();
  const auto path = new_path();
  give(open_log(path));
  writer_->start();
  write("/a");
  logs_[0]->tick();
  EXPECT_TRUE(soon([&] { return lines_in(text_of(path)) == 1; }));
  for (int i = 0; i < 5; ++i) {
    logs_[0]->tick();
    write("/b");
    logs_[0]->tick();
    EXPECT_TRUE(soon([&] { return lines_in(text_of(path)) == 2u + static_cast<unsigned>(i); }));
  }
}

TEST_F(LogWriterTest, GoesOnInTheFileThatItIsGiven) {
  make();
  const auto old_path = new_path();
  give(open_log(old_path));
  writer_->start();
  write("/old");
  logs_[0]->tick();
  ASSERT_TRUE(soon([&] { return lines_in(text_of(old_path)) == 1; }));
  const auto new_one = new_path();
  give(open_log(new_one));
  int further = 0;
  EXPECT_TRUE(soon([&] {
    write("/new" + std::to_string(further++));
    logs_[0]->tick();
    return lines_in(text_of(new_one)) > 0;
  }));
  finish();
  EXPECT_EQ(check_lines(text_of(old_path) + text_of(new_one)), static_cast<unsigned>(further) + 1);
}

TEST_F(LogWriterTest, GoesOnWithoutTheAgent) {
  make();
  const auto path = new_path();
  give(open_log(path));
  writer_->start();
  agent_.reset();
  write("/a");
  finish();
  EXPECT_EQ(lines_in(text_of(path)), 1u);
}

TEST_F(LogWriterTest, WithoutAnOutputLinesAreDroppedAndCounted) {
  make();
  writer_->start();
  write("/a");
  write("/b");
  finish();
  EXPECT_EQ(unwritten(), 2u);
}

TEST_F(LogWriterTest, AFullPipeHoldsNobodyUpAndEveryLineIsWholeOrCounted) {
  make();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const Fd reader(ends[0]);
  give(Fd(ends[1]));
  writer_->start();
  constexpr std::size_t kLines = 120'000;  // more than all blocks hold
  for (std::size_t i = 0; i < kLines; ++i) write("/" + std::to_string(i));
  EXPECT_GT(dropped(), 0u);
  const std::size_t kept = kLines - dropped();
  const auto text = read_lines(reader.get(), kept);
  EXPECT_EQ(check_lines(text), kept);
  EXPECT_EQ(unwritten(), 0u);
  // It goes on where there is room again.
  write("/later");
  logs_[0]->tick();
  ASSERT_TRUE(soon([&] {
    logs_[0]->tick();
    return !read_lines(reader.get(), 1).empty();
  }));
}

TEST_F(LogWriterTest, EndsInTimeBeforeAFullPipe) {
  make();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const Fd reader(ends[0]);
  give(Fd(ends[1]));
  writer_->start();
  for (int i = 0; i < 20'000; ++i) write("/" + std::to_string(i));
  const auto begun = std::chrono::steady_clock::now();
  finish();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, LogWriter::kLastTime + 20s);  // otherwise never
  std::string text;
  char bytes[65536];
  for (ssize_t n; (n = ::read(reader.get(), bytes, sizeof bytes)) > 0;) text.append(bytes, static_cast<std::size_t>(n));
  EXPECT_EQ(check_lines(text) + dropped() + unwritten(), 20'000u);
}

TEST_F(LogWriterTest, AReaderThatIsGoneKillsNobody) {
  make();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  give(Fd(ends[1]));
  ::close(ends[0]);
  writer_->start();
  write("/a");
  logs_[0]->tick();
  EXPECT_TRUE(soon([&] { return unwritten() == 1; }));
  // A new output takes the lines that come then.
  const auto path = new_path();
  give(open_log(path));
  write("/b");
  finish();
  EXPECT_EQ(lines_in(text_of(path)), 1u);
}

TEST_F(LogWriterTest, WritesToASocket) {
  make();
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const Fd reader(ends[0]);
  give(Fd(ends[1]));
  writer_->start();
  constexpr std::size_t kLines = 20'000;
  for (std::size_t i = 0; i < kLines; ++i) write("/" + std::to_string(i));
  logs_[0]->finish();
  EXPECT_EQ(check_lines(read_lines(reader.get(), kLines - dropped())), kLines - dropped());
}

/// A file that cannot grow further stands for a full disk: in both the file keeps a part of a line.
TEST_F(LogWriterTest, AfterAFullDiskEveryLineInTheFileIsWhole) {
  make();
  const auto path = new_path();
  give(open_log(path));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 10'000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  writer_->start();
  for (int i = 0; i < 1'000; ++i) write("/" + std::to_string(i));
  logs_[0]->tick();
  const bool counted = soon([&] { return unwritten() > 0; });
  EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_TRUE(counted);
  EXPECT_NE(text_of(path).back(), '\n') << "the file should have ended inside a line";
  for (int i = 1'000; i < 1'010; ++i) write("/" + std::to_string(i));
  finish();
  EXPECT_EQ(check_lines(text_of(path)), 1'010u - unwritten());
}

TEST_F(LogWriterTest, ALogThatRestsHoldsNoMemory) {
  LogRing ring;
  char* const first = ring.room(10);
  ASSERT_NE(first, nullptr);
  ring.commit(10);
  ring.trim();
  ring.flush();
  EXPECT_EQ(ring.front().data(), first) << "a line that is not written keeps its block";
  EXPECT_TRUE(ring.handed_over());
  EXPECT_FALSE(ring.handed_over());
  ring.trim();
  EXPECT_EQ(ring.front().size(), 10u);
  ring.pop();
  EXPECT_TRUE(ring.front().empty());
  ring.trim();
}

TEST_F(LogWriterTest, ASlowWriterGetsFullBlocks) {
  LogRing ring;
  for (int i = 0; i < 100; ++i) {  // a hundred ticks, and nobody takes a block
    ASSERT_NE(ring.room(100), nullptr);
    ring.commit(100);
    ring.flush();
  }
  EXPECT_EQ(ring.front().size(), 100u);
  ring.pop();
  EXPECT_TRUE(ring.front().empty());
  ring.flush();
  EXPECT_EQ(ring.front().size(), 9'900u);
}

TEST_F(LogWriterTest, AnOutputComesThroughThoughNoDescriptorIsFree) {
  make();
  writer_->start();
  const auto path = new_path();
  const Fd log = open_log(path);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{std::min<rlim_t>(before.rlim_cur, 256), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<Fd> all;
  for (Fd fd(::dup(log.get())); fd; fd = Fd(::dup(log.get()))) all.push_back(std::move(fd));
  give(log);
  writer_->wake();
  struct stat status {};
  const bool written = soon([&] {
    write("/a");
    logs_[0]->tick();
    return ::stat(path.c_str(), &status) == 0 && status.st_size > 0;
  });
  all.clear();
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(written);
}

}  // namespace
}  // namespace causeway::observe
