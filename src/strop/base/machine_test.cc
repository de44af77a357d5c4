// The machine as cpu.h, threads.h, topology.h and log.h see it.

#include <sched.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/cpu.h"
#include "strop/base/error.h"
#include "strop/base/log.h"
#include "strop/base/threads.h"
#include "strop/base/topology.h"

namespace strop {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The value of the first line of /proc/cpuinfo that begins with the key.
std::string CpuInfo(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) == 0 && line.find(": ") != std::string::npos)
      return line.substr(line.find(": ") + 2) + " ";
  }
  return "";
}

TEST(CpuTest, FlagsAgreeWithTheKernel) {
  if (std::getenv("STROP_ISA") != nullptr) GTEST_SKIP() << "STROP_ISA is set";
  const std::string flags = " " + CpuInfo("flags");
  ASSERT_GT(flags.size(), 10u);
  const auto has = [&](const std::string& flag) { return flags.find(" " + flag + " ") != std::string::npos; };
  EXPECT_EQ(Cpu().avx2, has("avx2") && has("fma") && has("f16c"));
  EXPECT_EQ(Cpu().avx512, has("avx512f") && has("avx512bw") && has("avx512dq") && has("avx512vl"));
  EXPECT_EQ(Cpu().avx512_vnni, Cpu().avx512 && has("avx512_vnni"));
  EXPECT_EQ(Cpu().avx_vnni, has("avx_vnni"));
  EXPECT_EQ(CpuModel() + " ", CpuInfo("model name"));
}

TEST(CpuTest, LimitClearsWhatIsAbove) {
  const CpuFlags all{true, true, true, true};
  EXPECT_EQ(Limit(all, Isa::kScalar), CpuFlags{});
  EXPECT_EQ(Limit(all, Isa::kAvx2), (CpuFlags{true, false, false, false}));
  EXPECT_EQ(Limit(all, Isa::kAvx512), (CpuFlags{true, true, false, false}));
  EXPECT_EQ(Limit(all, Isa::kAvx512Vnni), all);
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni}) {
    EXPECT_EQ(HighestIsa(Limit(all, isa)), isa);
    EXPECT_EQ(ParseIsa(IsaName(isa)), isa);
  }
  // VNNI without AVX-512, as on client processors, is not the AVX-512 set.
  EXPECT_EQ(HighestIsa({true, false, false, true}), Isa::kAvx2);
  try {
    ParseIsa("sse");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("scalar, avx2, avx512, avx512vnni or amx"));
  }
}

// Cpu() reads once, so every case needs a process of its own.
TEST(CpuTest, EnvironmentForcesALowerSet) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        setenv("STROP_ISA", "scalar", 1);
        std::exit(Cpu() == CpuFlags{} ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
  EXPECT_EXIT(
      {
        setenv("STROP_ISA", "neon", 1);
        try {
          Cpu();
        } catch (const Error& error) {
          std::exit(error.code() == Code::kInvalidArgument ? 0 : 1);
        }
        std::exit(2);
      },
      testing::ExitedWithCode(0), "");
}

TEST(ThreadsTest, UsableCpusFollowAffinity) {
  const int before = UsableCpus();
  EXPECT_GE(before, 1);
  EXPECT_LE(before, static_cast<int>(std::thread::hardware_concurrency()));
  std::thread([] {
    cpu_set_t all, one;
    sched_getaffinity(0, sizeof all, &all);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &all)) {
        CPU_SET(cpu, &one);
        break;
      }
    }
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(UsableCpus(), 1);
  }).join();
}

TEST(ThreadsTest, ChannelCarriesValuesThenTheEnd) {
  Channel<int> channel(2);
  std::thread producer([&] {
    for (int i = 0; i < 1000; ++i) channel.Push(i);
    channel.Close();
  });
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(channel.Pop(), i);
  EXPECT_EQ(channel.Pop(), std::nullopt);
  EXPECT_FALSE(channel.Push(1));
  producer.join();
}

TEST(ThreadsTest, ChannelCarriesAnErrorAfterWhatCameBefore) {
  Channel<int> channel(4);
  EXPECT_TRUE(channel.TryPush(1));
  channel.Fail(std::make_exception_ptr(Error(Code::kCorrupt, "cut short")));
  EXPECT_EQ(channel.Pop(), 1);
  EXPECT_THROW(channel.Pop(), Error);
  EXPECT_THROW(channel.Pop(), Error);
}

TEST(ThreadsTest, ClosingFreesAWaitingProducer) {
  Channel<int> channel(1);
  channel.Push(1);
  EXPECT_FALSE(channel.TryPush(2));
  std::thread producer([&] { EXPECT_FALSE(channel.Push(2)); });
  channel.Close();
  producer.join();
}

TEST(TopologyTest, DescribesThisMachine) {
  const Topology& machine = MachineTopology();
  EXPECT_GE(machine.threads, UsableCpus());
  EXPECT_GE(machine.threads, machine.cores);
  EXPECT_GE(machine.cores, machine.packages);
  EXPECT_GE(machine.l3_sharers, 1);
  if (machine.l1d_bytes > 0 && machine.l2_bytes > 0) {
    EXPECT_GT(machine.l2_bytes, machine.l1d_bytes);
  }
}

TEST(TopologyTest, CpusApartTakesEveryCoreBeforeASecondThreadOfOne) {
  const Machine machine = SyntheticMachine("package:1 core:3 pu:2");  // cores of CPUs 0 1, 2 3 and 4 5
  EXPECT_THAT(CpusApart(machine, {0, 1, 2, 3, 4, 5}, 2), ElementsAre(0, 2));
  EXPECT_THAT(CpusApart(machine, {1, 2, 3, 4}, 3), ElementsAre(1, 2, 4));
  EXPECT_THAT(CpusApart(machine, {0, 1, 2, 3}, 3), ElementsAre(0, 2, 1));
  EXPECT_THAT(CpusApart(machine, {3, 5}, 8), ElementsAre(3, 5));
}

TEST(LogTest, IsSilentUntilAProgramWantsIt) {
  testing::internal::CaptureStderr();
  Log("test").error("nobody asked");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  InitLog("info");
  testing::internal::CaptureStderr();
  Log("test").info("value {}", 3);
  Log("test").debug("too fine");
  const std::string text = testing::internal::GetCapturedStderr();
  InitLog("off");
  EXPECT_THAT(text, HasSubstr("info test: value 3\n"));
  EXPECT_THAT(text, Not(HasSubstr("too fine")));
  EXPECT_THROW(InitLog("loud"), Error);
}

}  // namespace
}  // namespace strop
