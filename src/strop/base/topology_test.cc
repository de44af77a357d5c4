#include "strop/base/topology.h"

#include <sched.h>

#include <algorithm>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/test_folder.h"
#include "strop/base/threads.h"

namespace strop {
namespace {

using testing::ElementsAre;

TEST(MachineTest, TwoPackagesHaveTheirOwnNodesAndCaches) {
  const Machine machine = SyntheticMachine("package:2 numa:1 l3:1(size=33554432) core:8 pu:2");
  ASSERT_EQ(machine.nodes.size(), 2U);
  ASSERT_EQ(machine.l3s.size(), 2U);
  ASSERT_EQ(machine.cpus.size(), 32U);
  EXPECT_EQ(machine.l3s[1].bytes, 32U << 20);
  EXPECT_EQ(machine.l3s[1].cpus, machine.nodes[1].cpus);
  for (const auto& cpu : machine.cpus) {
    EXPECT_EQ(cpu.node, cpu.id / 16);
    EXPECT_EQ(cpu.l3, cpu.id / 16);
    EXPECT_EQ(cpu.core, cpu.id / 2);
  }
  EXPECT_EQ(machine.Find(17)->node, 1);
  EXPECT_EQ(machine.Find(32), nullptr);
  EXPECT_EQ(machine.NodeOf(machine.nodes[1].id), 1);
  EXPECT_EQ(machine.NodeOf(99), -1);
}

TEST(MachineTest, SubNumaNodesOfAPackageAreNearerThanTheOther) {
  const Machine machine = SyntheticMachine("package:2 numa:2 l3:1 core:4 pu:2");
  ASSERT_EQ(machine.nodes.size(), 4U);
  EXPECT_EQ(machine.nodes[1].package, 0);
  EXPECT_EQ(machine.nodes[2].package, 1);
  EXPECT_EQ(machine.Distance(1, 1), 10);
  EXPECT_LT(machine.Distance(0, 1), machine.Distance(0, 2));
  Machine told = machine;
  told.distance = {{10, 30, 20, 20}, {30, 10, 20, 20}, {20, 20, 10, 30}, {20, 20, 30, 10}};
  EXPECT_EQ(told.Distance(0, 1), 30);
}

TEST(MachineTest, SeveralCachesLieOnOneNode) {
  const Machine machine = SyntheticMachine("package:1 numa:1 l3:4(size=16777216) core:2 pu:1");
  ASSERT_EQ(machine.nodes.size(), 1U);
  ASSERT_EQ(machine.l3s.size(), 4U);
  EXPECT_THAT(machine.l3s[2].cpus, ElementsAre(4, 5));
}

TEST(MachineTest, WithoutAnL3ANodeStandsForTheDomain) {
  const Machine machine = SyntheticMachine("package:2 numa:1 core:2 pu:1");
  ASSERT_EQ(machine.l3s.size(), 2U);
  EXPECT_EQ(machine.l3s[0].bytes, 0U);
  EXPECT_EQ(machine.cpus[3].l3, 1);
}

TEST(MachineTest, NonsenseIsRefused) {
  EXPECT_THROW(SyntheticMachine("package:two"), Error);
  EXPECT_THROW(SyntheticMachine(""), Error);
}

TEST(MachineTest, ThisMachineHoldsWhatTheThreadMayUse) {
  const Machine& machine = ThisMachine();
  ASSERT_FALSE(machine.nodes.empty());
  const auto allowed = AffinityCpus();
  EXPECT_GE(static_cast<int>(allowed.size()), UsableCpus());
  for (const int id : allowed) {
    const Machine::Cpu* const cpu = machine.Find(id);
    ASSERT_NE(cpu, nullptr) << id;
    const auto& of_node = machine.nodes[static_cast<size_t>(cpu->node)].cpus;
    EXPECT_NE(std::find(of_node.begin(), of_node.end(), id), of_node.end());
  }
  for (size_t a = 0; a < machine.nodes.size(); ++a)
    EXPECT_EQ(machine.Distance(static_cast<int>(a), static_cast<int>(a)), 10);
}

TEST(MachineTest, GpusAreFoundByClassWithTheirNode) {
  const TestFolder folder;
  const auto device = [&](const std::string& name, const std::string& kind, const std::string& vendor,
                          const std::string& node) {
    std::filesystem::create_directory(folder.path() / name);
    std::ofstream(folder.path() / name / "class") << kind << "\n";
    std::ofstream(folder.path() / name / "vendor") << vendor << "\n";
    if (!node.empty()) std::ofstream(folder.path() / name / "numa_node") << node << "\n";
  };
  device("0000:9b:00.0", "0x030200", "0x10de", "1");
  device("0000:3b:00.0", "0x120000", "0x1002", "-1");
  device("0000:4b:00.0", "0x030000", "0x10de", "");
  device("0000:02:00.0", "0x030000", "0x1a03", "0");  // the console of the board
  device("0000:01:00.0", "0x020000", "0x8086", "0");  // a network card
  const auto gpus = ListGpus(folder.path());
  ASSERT_EQ(gpus.size(), 3U);
  EXPECT_EQ(gpus[0].address, "0000:3b:00.0");
  EXPECT_EQ(gpus[0].node, -1);
  EXPECT_EQ(gpus[1].node, -1);
  EXPECT_EQ(gpus[2].address, "0000:9b:00.0");
  EXPECT_EQ(gpus[2].node, 1);
  EXPECT_TRUE(ListGpus(folder.path() / "none").empty());
}

}  // namespace
}  // namespace strop
