#include "strop/engine/kernels/transpose/transpose.h"

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace strop::engine {
namespace {

class TransposeTest : public testing::TestWithParam<const TransposeKernel*> {
 protected:
  void SetUp() override {
    if (GetParam()->isa > HighestIsa(Cpu()))
      GTEST_SKIP() << GetParam()->name << ": this CPU (or STROP_ISA) has no such instructions";
  }
  template <class T>
  void Check(int64_t rows, int64_t columns, int64_t misalign, int64_t gap) {
    TransposeArgs args{rows, columns, sizeof(T), nullptr, columns + gap, nullptr, rows + gap};
    std::vector<T> in(static_cast<size_t>(rows * args.in_row + misalign));
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<T>(i * 37 + 1);
    T guard;
    std::memset(&guard, 0xA5, sizeof guard);
    std::vector<T> out(static_cast<size_t>(columns * args.out_row + misalign), guard);
    args.in = in.data() + misalign;
    args.out = out.data() + misalign;
    GetParam()->run(args);
    for (int64_t j = 0; j < columns; ++j) {
      for (int64_t i = 0; i < args.out_row; ++i) {
        const T wanted = i < rows ? in[static_cast<size_t>(misalign + i * args.in_row + j)] : guard;
        ASSERT_EQ(out[static_cast<size_t>(misalign + j * args.out_row + i)], wanted)
            << GetParam()->name << " [" << j << ", " << i << "] of " << rows << " rows, " << columns
            << " columns of " << sizeof(T) << " bytes";
      }
    }
  }
};

TEST_P(TransposeTest, EveryRemainder) {
  for (int64_t rows = 0; rows <= 35; ++rows) {
    for (int64_t columns = 0; columns <= 35; ++columns) {
      Check<uint8_t>(rows, columns, 1, 3);
      Check<uint32_t>(rows, columns, 1, 3);
    }
  }
}

TEST_P(TransposeTest, AnyAlignment) {
  for (int64_t offset = 0; offset < 20; ++offset) {
    Check<uint8_t>(37, 50, offset, offset);
    Check<uint32_t>(37, 50, offset, offset);
  }
}

INSTANTIATE_TEST_SUITE_P(All, TransposeTest, testing::ValuesIn([] {
                           std::vector<const TransposeKernel*> all;
                           for (const TransposeKernel& kernel : TransposeKernels()) all.push_back(&kernel);
                           return all;
                         }()),
                         [](const auto& kernel) { return std::string(kernel.param->name); });

TEST(TransposeDispatch, PicksForCpusThatAreNotHere) {
  EXPECT_EQ(PickTranspose({}).name, "transpose_scalar");
#if defined(__x86_64__)
  EXPECT_EQ(PickTranspose({.avx2 = true}).name, "transpose_avx2");
  EXPECT_EQ(PickTranspose({.avx2 = true, .avx512 = true, .avx512_vnni = true}).name, "transpose_avx512");
#endif
}

}  // namespace
}  // namespace strop::engine
