#include "strop/feed/workers/placement.h"

#include <pthread.h>

#include <algorithm>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/error.h"
#include "strop/base/threads.h"

namespace strop::feed {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<int> AllCpus(const Machine& machine) {
  std::vector<int> out;
  for (const auto& cpu : machine.cpus) out.push_back(cpu.id);
  return out;
}

PlacementRequest All(const Machine& machine, int workers, std::optional<int> cpu = std::nullopt) {
  PlacementRequest request;
  request.cpus = AllCpus(machine);
  request.workers = workers;
  request.consumer_cpu = cpu;
  return request;
}

void ExpectSound(const Machine& machine, const PlacementRequest& request) {
  const Placement plan = PlanPlacement(machine, request);
  ASSERT_EQ(plan.readers.size(), static_cast<size_t>(request.workers));
  const auto at_home = std::count_if(request.cpus.begin(), request.cpus.end(), [&](int id) {
    return machine.nodes[static_cast<size_t>(machine.Find(id)->node)].id == plan.node;
  });
  int crossing = 0;
  for (const auto& reader : plan.readers) {
    ASSERT_FALSE(reader.cpus.empty());
    for (const int id : reader.cpus) {
      EXPECT_NE(std::find(request.cpus.begin(), request.cpus.end(), id), request.cpus.end());
      EXPECT_EQ(machine.nodes[static_cast<size_t>(machine.Find(id)->node)].id, reader.node);
      EXPECT_EQ(machine.Find(id)->l3, reader.l3);
    }
    EXPECT_EQ(reader.overflow, reader.node != plan.node);
    crossing += reader.overflow;
    EXPECT_GE(reader.chunk_bytes, 64 << 10);
    EXPECT_LE(reader.chunk_bytes, 8 << 20);
  }
  EXPECT_EQ(plan.crossing, crossing);
  if (request.workers <= at_home) {
    EXPECT_EQ(crossing, 0);
  }
  if (crossing > 0) {
    EXPECT_THAT(plan.reason, HasSubstr("overflow"));
  }
  // No two readers have a CPU in common while there is one for each.
  if (request.workers <= static_cast<int>(request.cpus.size())) {
    std::set<int> seen;
    for (const auto& reader : plan.readers) {
      for (const int id : reader.cpus) {
        EXPECT_TRUE(seen.insert(id).second) << "CPU " << id;
      }
    }
  }
}

TEST(Placement, NothingCrossesWhileTheNodeHasCpusOnAnyTopology) {
  for (const char* text :
       {"package:2 numa:1 l3:1 core:8 pu:2", "package:2 numa:2 l3:1 core:4 pu:2",
        "package:1 numa:1 core:4 pu:1", "package:4 numa:1 l3:2 core:2 pu:2",
        "package:2 numa:4 l3:2 core:2 pu:1", "package:1 numa:4 core:3 pu:2",
        "package:1 numa:1 l3:8 core:4 pu:2", "package:2 numa:1 l3:1(size=2097152) core:4 pu:4"}) {
    const Machine machine = SyntheticMachine(text);
    const int cpus = static_cast<int>(machine.cpus.size());
    for (int workers = 1; workers <= cpus + 5; ++workers) {
      for (int consumer = 0; consumer < cpus; consumer += 3) {
        SCOPED_TRACE(testing::Message() << text << ", " << workers << " readers, CPU " << consumer);
        ExpectSound(machine, All(machine, workers, consumer));
        PlacementRequest some = All(machine, workers, consumer);  // as under an affinity mask
        std::erase_if(some.cpus, [&](int id) { return id != consumer && (id * 7 + consumer) % 3 == 0; });
        ExpectSound(machine, some);
      }
      for (const auto& node : machine.nodes) {
        PlacementRequest request = All(machine, workers);
        request.consumer_node = node.id;
        ExpectSound(machine, request);
        EXPECT_EQ(PlanPlacement(machine, request).node, node.id);
      }
    }
  }
}

TEST(Placement, ACoreEachBeforeHyperThreadsAndTheConsumersLast) {
  const Machine machine = SyntheticMachine("package:2 numa:1 l3:2 core:2 pu:2");  // 4 cores a node
  const Placement three = PlanPlacement(machine, All(machine, 3, 9));             // core 4 of node 1
  EXPECT_THAT(three.readers[0].cpus, ElementsAre(10, 11));                        // the rest of its L3
  EXPECT_THAT(three.readers[1].cpus, ElementsAre(12, 13));
  EXPECT_THAT(three.readers[2].cpus, ElementsAre(14, 15));
  const Placement four = PlanPlacement(machine, All(machine, 4, 9));
  EXPECT_THAT(four.readers[0].cpus, ElementsAre(10));
  EXPECT_THAT(four.readers[3].cpus, ElementsAre(11));
  const Placement eight = PlanPlacement(machine, All(machine, 8, 9));
  EXPECT_THAT(eight.readers[6].cpus, ElementsAre(8));
  EXPECT_THAT(eight.readers[7].cpus, ElementsAre(9));
  EXPECT_EQ(eight.crossing, 0);
}

TEST(Placement, OverflowGoesToTheNearestNode) {
  const Machine machine = SyntheticMachine("package:2 numa:2 l3:1 core:2 pu:1");
  Placement plan = PlanPlacement(machine, All(machine, 4, 4));
  EXPECT_EQ(plan.crossing, 2);
  EXPECT_EQ(plan.readers[2].node, machine.nodes[3].id);  // the same package
  EXPECT_EQ(plan.readers[3].node, machine.nodes[3].id);
  EXPECT_THAT(plan.reason, HasSubstr("2 overflow to node 3"));
  Machine told = machine;
  told.distance = {{10, 20, 20, 20}, {20, 10, 15, 20}, {20, 15, 10, 20}, {20, 20, 20, 10}};
  plan = PlanPlacement(told, All(machine, 4, 4));
  EXPECT_EQ(plan.readers[2].node, machine.nodes[1].id);
}

TEST(Placement, ChunksAreHalfOfTheShareOfL3OrAnEighthOfL2WithinBounds) {
  const auto chunk = [](const char* text, int workers) {
    const Machine machine = SyntheticMachine(text);
    return PlanPlacement(machine, All(machine, workers)).readers[0].chunk_bytes;
  };
  EXPECT_EQ(chunk("package:1 numa:1 l3:1(size=33554432) core:8 pu:1", 4), 4 << 20);
  EXPECT_EQ(chunk("package:1 numa:1 l3:1(size=33554432) core:8 pu:1", 1), 8 << 20);
  EXPECT_EQ(chunk("package:1 numa:1 l3:1(size=1048576) core:8 pu:1", 8), 64 << 10);
  EXPECT_EQ(chunk("package:1 numa:1 core:8 pu:1", 8), 1 << 20);
  EXPECT_EQ(chunk("package:1 numa:1 l3:1(size=33554432) l2:8(size=2097152) core:1 pu:2", 4), 256 << 10);
  EXPECT_EQ(chunk("package:1 numa:1 l3:1(size=33554432) l2:2(size=4194304) core:4 pu:1", 4), 128 << 10);
  EXPECT_EQ(chunk("package:1 numa:1 l3:1(size=33554432) l2:8(size=262144) core:1 pu:1", 4), 64 << 10);
  const Machine small = SyntheticMachine("package:1 numa:1 l3:1(size=524288) core:8 pu:1");
  EXPECT_THAT(PlanPlacement(small, All(small, 8)).chunks,
              HasSubstr("512 KiB / 8 readers / 2 = 32 KiB, at least 64 KiB"));
  const Machine guest =
      SyntheticMachine("package:1 numa:1 l3:1(size=503316480) l2:2(size=2097152) core:1 pu:1");
  EXPECT_THAT(PlanPlacement(guest, All(guest, 2)).chunks, HasSubstr("an eighth of L2 is 256 KiB"));
}

TEST(Placement, OneNodeIsANoOpThatSaysSoAndAQuotaIsNamed) {
  const Machine machine = SyntheticMachine("package:1 numa:1 l3:1 core:8 pu:2");
  PlacementRequest request = All(machine, 4, 0);
  request.quota = 2;
  const Placement plan = PlanPlacement(machine, request);
  EXPECT_FALSE(plan.binds);
  EXPECT_THAT(plan.reason, HasSubstr("one NUMA node: nothing to bind"));
  EXPECT_THAT(plan.reason, HasSubstr("a quota lets 2 of 16 CPUs"));
  EXPECT_THAT(plan.Text(), HasSubstr("reader  3  node 0"));
}

TEST(Placement, WhatTheMachineHasNotIsRefused) {
  const Machine machine = SyntheticMachine("package:1 numa:1 core:2 pu:1");
  PlacementRequest request = All(machine, 0);
  EXPECT_THROW(PlanPlacement(machine, request), Error);
  request = All(machine, 1);
  request.consumer_node = 5;
  EXPECT_THROW(PlanPlacement(machine, request), Error);
  request = All(machine, 1);
  request.cpus = {17};
  EXPECT_THROW(PlanPlacement(machine, request), Error);
}

TEST(Placement, AThreadIsBoundToWhatThisProcessMayUse) {
  const Placement plan = PlanHere(2);
  ASSERT_EQ(plan.readers.size(), 2U);
  const auto allowed = AffinityCpus();
  bool bound = false;
  std::vector<int> after;
  std::thread([&] {
    bound = BindThread({allowed.back()});
    after = AffinityCpus();
  }).join();
  if (bound) {
    EXPECT_THAT(after, ElementsAre(allowed.back()));
  }
  EXPECT_EQ(AffinityCpus(), allowed);
  EXPECT_FALSE(BindThread({}));
}

TEST(Placement, MemoryKeepsItsBytesWhetherOrNotItMoves) {
  std::vector<char> bytes(1 << 20, 'x');
  PreferNode(bytes.data(), bytes.size(), ThisMachine().nodes[0].id);
  EXPECT_EQ(std::count(bytes.begin(), bytes.end(), 'x'), 1 << 20);
  EXPECT_FALSE(PreferNode(bytes.data(), 0, 0));
  EXPECT_FALSE(PreferNode(bytes.data(), bytes.size(), -1));
}

}  // namespace
}  // namespace strop::feed
