#include "strop/base/line_socket.h"

#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "strop/base/error.h"
#include "strop/base/test_folder.h"

namespace strop {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::string ErrorOf(Code code, const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

struct Pair {
  Pair() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ours = LineSocket(fds[0]);
    raw = fds[1];
  }
  ~Pair() {
    if (raw >= 0) close(raw);
  }
  void Send(std::string_view bytes) {
    EXPECT_EQ(write(raw, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  LineSocket ours;
  int raw = -1;
};

TEST(LineSocketTest, LinesAreFramedAcrossPartialWrites) {
  Pair pair;
  std::thread writer([&] {
    for (const char* piece : {"on", "e\ntwo\n\nth", "r", "ee\n"}) {
      pair.Send(piece);
      std::this_thread::sleep_for(5ms);
    }
  });
  for (const char* line : {"one", "two", "", "three"}) EXPECT_EQ(pair.ours.ReadLine(), line);
  writer.join();
}

TEST(LineSocketTest, ATimeoutLosesNoBytes) {
  Pair pair;
  pair.Send("begin");
  ErrorOf(Code::kTimeout, [&] { pair.ours.ReadLine(20ms); });
  ErrorOf(Code::kTimeout, [&] { pair.ours.ReadLine(0ms); });
  pair.Send(" end\nnext\n");
  EXPECT_EQ(pair.ours.ReadLine(1s), "begin end");
  EXPECT_EQ(pair.ours.ReadLine(0ms), "next");
}

TEST(LineSocketTest, APeerThatIsGoneIsTheEndAndNoSignal) {
  Pair pair;
  pair.Send("last\nunfinished");
  close(std::exchange(pair.raw, -1));
  EXPECT_EQ(pair.ours.ReadLine(), "last");
  EXPECT_EQ(pair.ours.ReadLine(), std::nullopt);
  ErrorOf(Code::kUnavailable, [&] { pair.ours.WriteLine("x"); });
}

TEST(LineSocketTest, ShutdownWakesAReader) {
  Pair pair;
  std::thread reader([&] { EXPECT_EQ(pair.ours.ReadLine(), std::nullopt); });
  std::this_thread::sleep_for(20ms);
  pair.ours.Shutdown();
  reader.join();
}

TEST(LineSocketTest, LongLinesPassAndTooLongOnesAreRefused) {
  const TestFolder folder;
  LineListener listener(folder.path() / "s");
  LineSocket client = LineSocket::Connect(listener.path());
  auto server = listener.Accept(1s);
  ASSERT_TRUE(server);
  const std::string line(3'000'000, 'x');
  std::thread writer([&] { client.WriteLine(line); });
  EXPECT_EQ(server->ReadLine(10s), line);
  writer.join();
  ErrorOf(Code::kInvalidArgument, [&] { client.WriteLine(std::string((16u << 20) + 1, 'x')); });
  ErrorOf(Code::kInvalidArgument, [&] { client.WriteLine("two\nlines"); });
}

TEST(LineListenerTest, ServesAndTakesItsFileAway) {
  const TestFolder folder;
  const auto path = folder.path() / "new" / "s.sock";
  {
    LineListener listener(path);
    EXPECT_EQ(listener.Accept(10ms).has_value(), false);
    LineSocket client = LineSocket::Connect(path);
    client.WriteLine("ask");
    auto server = listener.Accept(1s);
    ASSERT_TRUE(server);
    EXPECT_EQ(server->ReadLine(1s), "ask");
    server->WriteLine("answer");
    EXPECT_EQ(client.ReadLine(1s), "answer");
    struct stat info {};
    stat(path.c_str(), &info);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_THAT(ErrorOf(Code::kUnavailable, [&] { LineSocket::Connect(path); }), HasSubstr(path.string()));
}

TEST(LineListenerTest, ShutdownWakesAccept) {
  const TestFolder folder;
  LineListener listener(folder.path() / "s");
  std::thread waiter([&] { EXPECT_FALSE(listener.Accept(-1ms).has_value()); });
  std::this_thread::sleep_for(20ms);
  listener.Shutdown();
  waiter.join();
}

TEST(LineListenerTest, AStaleFileIsReplacedAndALiveOneIsNot) {
  const TestFolder folder;
  const auto path = folder.path() / "s";
  const int dead = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.native().copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(dead, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  close(dead);  // the file stays, as after kill -9
  LineListener listener(path);
  LineSocket client = LineSocket::Connect(path);
  EXPECT_THAT(ErrorOf(Code::kUnavailable, [&] { LineListener second(path); }),
              HasSubstr("another process listens"));
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(LineListenerTest, AFileThatIsNoSocketIsKept) {
  const TestFolder folder;
  const auto path = folder.path() / "precious";
  std::ofstream(path) << "data";
  ErrorOf(Code::kAlreadyExists, [&] { LineListener listener(path); });
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(LineListenerTest, PathsUpToTheKernelsLimitWork) {
  const TestFolder folder;
  const size_t room = 107 - folder.path().native().size() - 1;
  const auto longest = folder.path() / std::string(room, 'x');
  ASSERT_EQ(longest.native().size(), 107u);
  LineListener listener(longest);
  LineSocket client = LineSocket::Connect(longest);
  EXPECT_TRUE(listener.Accept(1s));
  EXPECT_THAT(ErrorOf(Code::kInvalidArgument, [&] { LineListener tail(longest.string() + "x"); }),
              HasSubstr("1 to 107"));
}

}  // namespace
}  // namespace strop
