#include "agent/access_log_output.h"

#include <filesystem>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace causeway::agent {
namespace {

SnapshotPtr snapshot_with(AccessLogFormat format) {
  auto service = std::make_shared<Service>();
  service->access_log.format = format;
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->services[ServiceId(1)] = std::move(service);
  return snapshot;
}

/// Puts another descriptor in stdout's place.
class AsStdout {
 public:
  explicit AsStdout(int fd) : saved_(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)) { ::dup2(fd, STDOUT_FILENO); }
  ~AsStdout() { ::dup2(saved_.get(), STDOUT_FILENO); }
  AsStdout(const AsStdout&) = delete;
  AsStdout& operator=(const AsStdout&) = delete;

 private:
  Fd saved_;
};

class AccessLogOutputTest : public ::testing::Test {
 protected:
  AccessLogOutputTest() {
    char name[] = "/tmp/causeway-output-XXXXXX";
    directory_ = ::mkdtemp(name);
  }
  ~AccessLogOutputTest() override { std::filesystem::remove_all(directory_); }

  AccessLogOutput make(const std::string& path) {
    return {context_.get_executor(), path, [this](Fd fd) { given_.push_back(std::move(fd)); }};
  }
  static void put(const Fd& fd, std::string_view text) {
    ASSERT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  boost::asio::io_context context_;
  std::string directory_;
  std::vector<Fd> given_;
};

TEST_F(AccessLogOutputTest, OpensNothingUntilAServiceIsLogged) {
  const auto path = directory_ + "/log/access.log";
  auto output = make(path);
  output.follow(*snapshot_with(AccessLogFormat::off));
  output.reopen();
  EXPECT_TRUE(given_.empty());
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/log"));
  output.follow(*snapshot_with(AccessLogFormat::json));
  output.follow(*snapshot_with(AccessLogFormat::text));
  ASSERT_EQ(given_.size(), 1u);
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0137u, 0u) << "neither executable nor for others";
}

TEST_F(AccessLogOutputTest, NeverWithoutAPath) {
  auto output = make("");
  output.follow(*snapshot_with(AccessLogFormat::text));
  output.reopen();
  EXPECT_TRUE(given_.empty());
}

TEST_F(AccessLogOutputTest, OpensTheNewFileAfterARotation) {
  const auto path = directory_ + "/access.log";
  auto output = make(path);
  output.follow(*snapshot_with(AccessLogFormat::text));
  put(given_[0], "old\n");
  std::filesystem::rename(path, path + ".1");
  output.reopen();
  ASSERT_EQ(given_.size(), 2u);
  put(given_[1], "new\n");
  EXPECT_EQ(std::filesystem::file_size(path), 4u);
  EXPECT_EQ(std::filesystem::file_size(path + ".1"), 4u);
}

TEST_F(AccessLogOutputTest, TriesAgainAfterAFailure) {
  const auto path = directory_ + "/access.log";
  std::filesystem::create_directory(path);  // in the way
  auto output = make(path);
  output.follow(*snapshot_with(AccessLogFormat::text));
  EXPECT_TRUE(given_.empty());
  EXPECT_EQ(context_.poll(), 0u);
  EXPECT_FALSE(context_.stopped()) << "a timer waits";
  std::filesystem::remove(path);
  output.reopen();
  EXPECT_EQ(given_.size(), 1u);
}

TEST_F(AccessLogOutputTest, AppendsToWhatIsThere) {
  const auto path = directory_ + "/access.log";
  put(Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), "before\n");
  const auto fd = open_access_log(path);
  ASSERT_TRUE(fd);
  put(*fd, "line\n");
  EXPECT_EQ(std::filesystem::file_size(path), 12u);
}

TEST_F(AccessLogOutputTest, OpensAFifoThatNobodyReads) {
  const auto path = directory_ + "/fifo";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const auto fd = open_access_log(path);
  ASSERT_TRUE(fd) << fd.error().message();
  put(*fd, "line\n");
  EXPECT_NE(::fcntl(fd->get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(AccessLogOutputTest, StdoutStaysAsItIsForOthers) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  const Fd pipe(ends[1]);
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const Fd socket(ends[0]);
  const Fd far_end(ends[1]);
  const Fd file(::open((directory_ + "/out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  put(file, "before\n");
  for (const Fd* stdout_now : {&pipe, &socket, &file}) {
    std::fflush(stdout);
    const AsStdout as(stdout_now->get());
    const auto fd = open_access_log("stdout");
    ASSERT_TRUE(fd) << fd.error().message();
    put(*fd, "line\n");
    EXPECT_EQ(::fcntl(stdout_now->get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(stdout_now == &pipe, (::fcntl(fd->get(), F_GETFL) & O_NONBLOCK) != 0);
  }
  put(file, "after\n");
  EXPECT_EQ(std::filesystem::file_size(directory_ + "/out"), 18u) << "the offset is shared: nothing is written over";
}

}  // namespace
}  // namespace causeway::agent
