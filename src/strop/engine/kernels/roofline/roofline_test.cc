#include "strop/engine/kernels/roofline/roofline.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/test_error.h"
#include "strop/engine/kernels/roofline/kernels.h"

namespace strop::engine {
namespace {

using testing::HasSubstr;

TEST(Roofline, EveryInstructionSetOfThisMachineHasItsPeaksAndNoOtherHas) {
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni, Isa::kAmx}) {
    const std::string name(IsaName(isa));
    SCOPED_TRACE(name);
    if (isa <= HighestIsa(Cpu())) {
      EXPECT_GT(MeasurePeakFlops(isa), 0);
      EXPECT_GT(MeasurePeakInt8(isa, 2), 0);
    } else {
      for (const auto measure : {MeasurePeakFlops, MeasurePeakInt8}) {
        const Error error = Thrown([&] { measure(isa, 1); });
        EXPECT_EQ(error.code(), Code::kInvalidArgument);
        EXPECT_THAT(error.what(), HasSubstr("cannot measure " + name));
      }
    }
  }
}

// All products that are counted are made, and the compiler leaves none out.
TEST(Roofline, TheLoopsOfBytesSumEveryProduct) {
  constexpr int64_t kSteps = 10;
  for (const PeakKernel& kernel : Int8PeakKernels()) {
    if (kernel.isa > HighestIsa(Cpu())) continue;
    const int64_t sum = kSteps * kernel.products * kPeakA * kPeakB;
    EXPECT_EQ(kernel.run(kSteps), static_cast<float>(sum)) << IsaName(kernel.isa);
  }
}

}  // namespace
}  // namespace strop::engine
