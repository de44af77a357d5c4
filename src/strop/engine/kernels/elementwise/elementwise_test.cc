#include "strop/engine/kernels/elementwise/elementwise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace strop::engine {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kGuard = -12345.0f;
constexpr int64_t kMostElements = 70;

// An operator, its truth in double, and how many units in the last place an answer may be off; 0: the same
// bits.
struct Unary {
  UnaryOp op;
  const char* name;
  double (*truth)(double x);
  double ulps;
};

const Unary kUnaries[] = {
    {UnaryOp::kNeg, "Neg", [](double x) { return -x; }, 0},
    {UnaryOp::kAbs, "Abs", [](double x) { return std::abs(x); }, 0},
    {UnaryOp::kSqrt, "Sqrt", [](double x) { return std::sqrt(x); }, 0},
    {UnaryOp::kReciprocal, "Reciprocal", [](double x) { return 1 / x; }, 0},
    {UnaryOp::kExp, "Exp", [](double x) { return std::exp(x); }, 1},
    {UnaryOp::kLog, "Log", [](double x) { return std::log(x); }, 1},
    {UnaryOp::kErf, "Erf", [](double x) { return std::erf(x); }, 1.6},
    {UnaryOp::kTanh, "Tanh", [](double x) { return std::tanh(x); }, 1.5},
    {UnaryOp::kSigmoid, "Sigmoid", [](double x) { return x < -87.3f ? 0 : 1 / (1 + std::exp(-x)); }, 2.5},
    {UnaryOp::kRelu, "Relu", [](double x) { return x < 0 ? 0 : x; }, 0},
    {UnaryOp::kFloor, "Floor", [](double x) { return std::floor(x); }, 0},
    {UnaryOp::kCeil, "Ceil", [](double x) { return std::ceil(x); }, 0},
    {UnaryOp::kRound, "Round", [](double x) { return std::nearbyint(x); }, 0},
};

struct Binary {
  BinaryOp op;
  const char* name;
  double (*truth)(double a, double b);
};

// Sums, products and quotients of two float32 in double round to float32 as if they were exact (Figueroa,
// "When is double rounding innocuous?", 1995).
const Binary kBinaries[] = {
    {BinaryOp::kAdd, "Add", [](double a, double b) { return a + b; }},
    {BinaryOp::kSub, "Sub", [](double a, double b) { return a - b; }},
    {BinaryOp::kMul, "Mul", [](double a, double b) { return a * b; }},
    {BinaryOp::kDiv, "Div", [](double a, double b) { return a / b; }},
    {BinaryOp::kMax, "Max",
     [](double a, double b) { return std::isnan(a) || std::isnan(b) ? a + b : std::max(a, b); }},
    {BinaryOp::kMin, "Min",
     [](double a, double b) { return std::isnan(a) || std::isnan(b) ? a + b : std::min(a, b); }},
};

// How far an answer is from the truth, in units of the last place of the truth; 0 for the right special
// value.
double Ulps(float got, double truth) {
  const auto rounded = static_cast<float>(truth);
  if (std::isnan(rounded)) return std::isnan(got) ? 0 : kInf;
  if (std::isinf(rounded) || std::isinf(got)) return got == rounded ? 0 : kInf;
  int exponent = 0;
  std::frexp(truth, &exponent);
  const double unit = std::ldexp(1.0, std::max(exponent - 24, -149));
  return std::abs(static_cast<double>(got) - truth) / unit;
}

// The same value and, but for NaN and where either zero will do, the same sign.
bool Same(float got, float wanted, bool any_zero = false) {
  if (std::isnan(wanted)) return std::isnan(got);
  return got == wanted && (any_zero || std::signbit(got) == std::signbit(wanted));
}

const std::vector<float>& Extremes() {
  constexpr float kMin = std::numeric_limits<float>::min(), kMax = std::numeric_limits<float>::max(),
                  kDenormal = std::numeric_limits<float>::denorm_min();
  static const std::vector<float> all = [] {
    std::vector<float> values = {0,       kDenormal, 100 * kDenormal,
                                 kMin,    1e-30f,    1e-4f,
                                 0.5f,    0.625f,    0.92f,
                                 1,       1.5f,      2.5f,
                                 3.5f,    3.95f,     4,
                                 9.1f,    16,        87.2f,
                                 87.4f,   88.7f,     88.73f,
                                 88.8f,   103.9f,    104.1f,
                                 105,     106,       8388607.5f,
                                 8388609, 2e9f,      2147483648.0f,
                                 3e9f,    1e20f,     kMax,
                                 kInf,    kNan};
    const size_t size = values.size();
    for (size_t i = 0; i < size; ++i) values.push_back(-values[i]);
    // A signalling NaN's and another payload: what must not turn into a number.
    for (const uint32_t bits : {0x7f800001u, 0x7fc00001u, 0xffffffffu, 0x7fffffffu})
      values.push_back(std::bit_cast<float>(bits));
    return values;
  }();
  return all;
}

std::vector<float> Random(size_t size, uint32_t seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-6, 6);
  std::vector<float> values(size);
  for (float& value : values) value = uniform(generator);
  return values;
}

class ElementwiseTest : public testing::TestWithParam<const ElementwiseKernels*> {
 protected:
  void SetUp() override {
    if (GetParam()->isa > HighestIsa(Cpu()))
      GTEST_SKIP() << GetParam()->name << ": this CPU (or STROP_ISA) has no such instructions";
  }

  // Calls run(input, output, n) for every length at several alignments, apart and in place, and checks
  // element i by ok(input value, output value), and that nothing beyond was written.
  template <class Run, class Ok>
  void EveryLength(const std::string& what, Run run, Ok ok) {
    for (int64_t n = 0; n <= kMostElements; ++n) {
      const auto offset = static_cast<size_t>(n * 5 % 17), size = static_cast<size_t>(n);
      const std::vector<float> x = Random(offset + size, static_cast<uint32_t>(n));
      std::vector<float> apart(offset + size + 20, kGuard), place = apart;
      std::copy(x.begin(), x.end(), place.begin());
      run(x.data() + offset, apart.data() + offset, n);
      run(place.data() + offset, place.data() + offset, n);
      for (size_t i = 0; i < size; ++i) {
        ASSERT_TRUE(ok(x[offset + i], apart[offset + i]))
            << what << " n=" << n << " at " << i << ": " << x[offset + i] << " gave " << apart[offset + i];
        ASSERT_TRUE(Same(place[offset + i], apart[offset + i]))
            << what << " in place, n=" << n << " at " << i;
      }
      for (size_t i = 0; i < offset; ++i) ASSERT_EQ(apart[i], kGuard) << what << " wrote before, n=" << n;
      for (size_t i = offset + size; i < apart.size(); ++i) {
        ASSERT_EQ(apart[i], kGuard) << what << " wrote past, n=" << n;
        ASSERT_EQ(place[i], kGuard) << what << " wrote past, n=" << n;
      }
    }
  }
};

TEST_P(ElementwiseTest, UnaryOfEveryLengthAndAlignment) {
  for (const Unary& unary : kUnaries) {
    EveryLength(
        unary.name, [&](const float* x, float* y, int64_t n) { GetParam()->unary(unary.op, x, y, n); },
        [&](float x, float y) {
          return Ulps(y, unary.truth(static_cast<double>(x))) <= std::max(unary.ulps, 0.5);
        });
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST_P(ElementwiseTest, UnaryOfExtremes) {
  const std::vector<float>& x = Extremes();
  std::vector<float> y(x.size());
  for (const Unary& unary : kUnaries) {
    GetParam()->unary(unary.op, x.data(), y.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const double truth = unary.truth(static_cast<double>(x[i]));
      if (unary.ulps == 0) {
        EXPECT_TRUE(Same(y[i], static_cast<float>(truth)))
            << unary.name << " of " << x[i] << " gave " << y[i];
      } else {
        EXPECT_LE(Ulps(y[i], truth), unary.ulps) << unary.name << " of " << x[i] << " gave " << y[i];
      }
    }
  }
  // Known values: their sign and their exactness.
  const float points[] = {0.0f, -0.0f, kInf, -kInf};
  const auto all = [&](UnaryOp op) {
    std::vector<float> got(4);
    GetParam()->unary(op, points, got.data(), 4);
    return got;
  };
  EXPECT_EQ(all(UnaryOp::kExp), (std::vector<float>{1, 1, kInf, 0}));
  EXPECT_EQ(all(UnaryOp::kSigmoid), (std::vector<float>{0.5f, 0.5f, 1, 0}));
  for (const UnaryOp op : {UnaryOp::kErf, UnaryOp::kTanh}) {
    const std::vector<float> got = all(op);
    EXPECT_EQ(got, (std::vector<float>{0, -0.0f, 1, -1}));
    EXPECT_TRUE(std::signbit(got[1]) && !std::signbit(got[0]));
  }
}

TEST_P(ElementwiseTest, GeluOfEveryLengthAndOfExtremes) {
  const auto near = [](float x, float y) {
    const double truth =
        x == -kInf ? 0 : static_cast<double>(x) / 2 * (1 + std::erf(static_cast<double>(x) * std::sqrt(0.5)));
    if (std::isnan(truth) || std::isinf(truth)) return Same(y, static_cast<float>(truth));
    return std::abs(static_cast<double>(y) - truth) <= 2e-7 * std::abs(static_cast<double>(x)) + 1e-44;
  };
  EveryLength(
      "Gelu", [&](const float* x, float* y, int64_t n) { GetParam()->unary(UnaryOp::kGelu, x, y, n); }, near);
  if (testing::Test::HasFatalFailure()) return;
  std::vector<float> x = Extremes();
  for (int i = -500'000; i <= 500'000; ++i) x.push_back(static_cast<float>(i) * 2e-5f);
  std::vector<float> y(x.size());
  GetParam()->unary(UnaryOp::kGelu, x.data(), y.data(), static_cast<int64_t>(x.size()));
  for (size_t i = 0; i < x.size(); ++i) ASSERT_TRUE(near(x[i], y[i])) << x[i] << " gave " << y[i];
}

// One in 4,099 of all float32, so of every exponent thousands.
TEST_P(ElementwiseTest, UnaryErrorOverAllFloats) {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 4099)
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  // And evenly over where the functions bend.
  for (int i = -500'000; i <= 500'000; ++i) x.push_back(static_cast<float>(i) * 2e-5f);
  std::vector<float> y(x.size());
  for (const Unary& unary : kUnaries) {
    if (unary.ulps == 0) continue;
    GetParam()->unary(unary.op, x.data(), y.data(), static_cast<int64_t>(x.size()));
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double ulps = Ulps(y[i], unary.truth(static_cast<double>(x[i])));
      if (ulps > worst) {
        worst = ulps;
        at = i;
      }
    }
    std::printf("%s %s: at most %.2f ulp, at %.9g\n", std::string(GetParam()->name).c_str(), unary.name,
                worst, static_cast<double>(x[at]));
    EXPECT_LE(worst, unary.ulps) << unary.name << " of " << x[at] << " gave " << y[at];
  }
}

TEST_P(ElementwiseTest, ErfAndTanhStayWithinOne) {
  std::vector<float> x, y;
  for (float at = 2; at < 11; at += 1e-5f) x.push_back(at);
  y.resize(x.size());
  for (const UnaryOp op : {UnaryOp::kErf, UnaryOp::kTanh}) {
    GetParam()->unary(op, x.data(), y.data(), static_cast<int64_t>(x.size()));
    EXPECT_LE(*std::max_element(y.begin(), y.end()), 1.0f);
  }
}

TEST_P(ElementwiseTest, ClipAndLeaky) {
  EveryLength(
      "clip", [&](const float* x, float* y, int64_t n) { GetParam()->clip(-1.5f, 3, x, y, n); },
      [](float x, float y) { return Same(y, std::min(std::max(x, -1.5f), 3.0f)); });
  EveryLength(
      "leaky", [&](const float* x, float* y, int64_t n) { GetParam()->leaky(0.1f, x, y, n); },
      [](float x, float y) { return Same(y, x < 0 ? 0.1f * x : x); });
  const std::vector<float>& x = Extremes();
  std::vector<float> y(x.size());
  const auto n = static_cast<int64_t>(x.size());
  struct {
    float low, high;
  } const bounds[] = {{0, 6}, {-kInf, kInf}, {2, 1}, {-std::numeric_limits<float>::max(), 0}};
  for (const auto& [low, high] : bounds) {
    GetParam()->clip(low, high, x.data(), y.data(), n);
    for (size_t i = 0; i < x.size(); ++i) {
      const float wanted = std::isnan(x[i]) ? x[i] : std::min(std::max(x[i], low), high);
      EXPECT_TRUE(Same(y[i], wanted)) << low << ", " << high << " of " << x[i] << " gave " << y[i];
    }
  }
  GetParam()->leaky(-2, x.data(), y.data(), n);
  for (size_t i = 0; i < x.size(); ++i) EXPECT_TRUE(Same(y[i], x[i] < 0 ? -2 * x[i] : x[i])) << x[i];
}

TEST_P(ElementwiseTest, BinaryOfEveryLengthAndForm) {
  for (const Binary& binary : kBinaries) {
    const auto ok = [&](float a, float b, float y) {
      return Same(y, static_cast<float>(binary.truth(static_cast<double>(a), static_cast<double>(b))));
    };
    const std::vector<float> other = Random(kMostElements + 3, 99);
    for (int64_t n = 0; n <= kMostElements; ++n) {
      const std::vector<float> a = Random(static_cast<size_t>(n) + 1, static_cast<uint32_t>(n));
      std::vector<float> y(static_cast<size_t>(n) + 20, kGuard), left = a, right = other;
      GetParam()->binary(binary.op, a.data() + 1, other.data() + 3, y.data() + 2, n);
      GetParam()->binary(binary.op, left.data() + 1, other.data() + 3, left.data() + 1, n);
      GetParam()->binary(binary.op, a.data() + 1, right.data() + 3, right.data() + 3, n);
      for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
        ASSERT_TRUE(ok(a[i + 1], other[i + 3], y[i + 2])) << binary.name << " n=" << n << " at " << i;
        ASSERT_EQ(left[i + 1], y[i + 2]) << binary.name << " onto the left";
        ASSERT_EQ(right[i + 3], y[i + 2]) << binary.name << " onto the right";
      }
      for (size_t i = static_cast<size_t>(n) + 2; i < y.size(); ++i) ASSERT_EQ(y[i], kGuard) << binary.name;
    }
    EveryLength(
        binary.name,
        [&](const float* x, float* y, int64_t n) { GetParam()->binary_scalar(binary.op, x, 1.7f, y, n); },
        [&](float x, float y) { return ok(x, 1.7f, y); });
    EveryLength(
        binary.name,
        [&](const float* x, float* y, int64_t n) { GetParam()->scalar_binary(binary.op, 1.7f, x, y, n); },
        [&](float x, float y) { return ok(1.7f, x, y); });
  }
}

TEST_P(ElementwiseTest, BinaryOfExtremes) {
  const std::vector<float>& extremes = Extremes();
  const auto n = static_cast<int64_t>(extremes.size());
  std::vector<float> all(extremes.size()), y(extremes.size()), scalar(extremes.size());
  for (const Binary& binary : kBinaries) {
    const bool any_zero = binary.op == BinaryOp::kMax || binary.op == BinaryOp::kMin;
    for (const float other : extremes) {
      std::fill(all.begin(), all.end(), other);
      for (int form = 0; form < 4; ++form) {
        const bool first = form % 2 == 0;  // whether the extremes are the first operand
        if (form == 0) GetParam()->binary(binary.op, extremes.data(), all.data(), y.data(), n);
        if (form == 1) GetParam()->binary(binary.op, all.data(), extremes.data(), y.data(), n);
        if (form == 2) GetParam()->binary_scalar(binary.op, extremes.data(), other, y.data(), n);
        if (form == 3) GetParam()->scalar_binary(binary.op, other, extremes.data(), y.data(), n);
        for (size_t i = 0; i < y.size(); ++i) {
          const auto a = static_cast<double>(first ? extremes[i] : other),
                     b = static_cast<double>(first ? other : extremes[i]);
          const auto wanted = static_cast<float>(binary.truth(a, b));
          ASSERT_TRUE(Same(y[i], wanted, any_zero))
              << binary.name << " of " << a << " and " << b << " gave " << y[i] << ", form " << form;
        }
        if (form > 0) continue;
        // Which zero is the same on every instruction set.
        AllElementwiseKernels().front().binary(binary.op, extremes.data(), all.data(), scalar.data(), n);
        for (size_t i = 0; i < y.size(); ++i)
          ASSERT_TRUE(Same(y[i], scalar[i])) << binary.name << " at " << i;
      }
    }
  }
}

// What model/reference/quantize.cc answers.
int QuantizedTruth(float x, float scale, int zero, bool is_signed) {
  const double quotient =
      static_cast<double>(static_cast<float>(static_cast<double>(x) / static_cast<double>(scale)));
  const double value = std::nearbyint(quotient) + zero;
  const double low = is_signed ? -128 : 0;
  return std::isnan(value) ? 0 : static_cast<int>(std::clamp(value, low, low + 255));
}

TEST_P(ElementwiseTest, QuantizeAnswersTheReferencesBytes) {
  constexpr uint8_t kByteGuard = 0xA5;
  const auto check = [&](const std::vector<float>& x, size_t offset, float scale, int zero, bool is_signed) {
    const size_t size = x.size() - offset;
    std::vector<uint8_t> q(offset + size + 20, kByteGuard);
    GetParam()->quantize(x.data() + offset, scale, zero, is_signed, q.data() + offset,
                         static_cast<int64_t>(size));
    for (size_t i = 0; i < q.size(); ++i) {
      int wanted = kByteGuard;
      if (i >= offset && i < offset + size) {
        wanted = static_cast<uint8_t>(QuantizedTruth(x[i], scale, zero, is_signed));
      }
      ASSERT_EQ(q[i], wanted) << "at " << i << " of " << size << " scale " << scale << " zero " << zero;
    }
  };
  for (const bool is_signed : {false, true}) {
    const int low = is_signed ? -128 : 0;
    for (size_t n = 0; n <= kMostElements; ++n) {
      check(Random(n + n % 9, static_cast<uint32_t>(n)), n % 9, 0.037f, low + 120, is_signed);
    }
    std::vector<float> ties = Extremes();
    for (int i = -1200; i <= 1200; ++i) ties.push_back(static_cast<float>(i) * 0.25f);
    for (const int zero : {low, low + 1, low + 128, low + 255}) {
      for (const float scale : {1.0f, 0.5f, 0.1f, -1.0f, 0.0f, 1e-38f, 1e-44f, 3e38f, kInf, kNan})
        check(ties, 1, scale, zero, is_signed);
    }
    // Floats beside a tie, where a quotient that is off by an ulp would show.
    for (const float scale : {0.0123456f, 0.1f, 1.0f / 3, 0.037f, 1.7e-5f, 9.9e5f, 1.1e-30f, 0.9e30f}) {
      std::vector<float> near;
      for (int k = -300; k <= 300; ++k) {
        float x = (static_cast<float>(k) + 0.5f) * scale;
        for (int i = 0; i < 4; ++i) x = std::nextafter(x, -kInf);
        for (int i = 0; i < 9; ++i, x = std::nextafter(x, kInf)) near.push_back(x);
      }
      check(near, 0, scale, low + 128, is_signed);
      check(near, 0, scale, low + 7, is_signed);
    }
  }
}

TEST_P(ElementwiseTest, DequantizeIsExact) {
  std::vector<uint8_t> q(256 + kMostElements);
  for (size_t i = 0; i < q.size(); ++i) q[i] = static_cast<uint8_t>(i);
  for (const bool is_signed : {false, true}) {
    const int low = is_signed ? -128 : 0;
    const auto check = [&](size_t offset, size_t n, int zero, float scale) {
      std::vector<float> y(n + 20, kGuard);
      GetParam()->dequantize(q.data() + offset, is_signed, zero, scale, y.data() + 1,
                             static_cast<int64_t>(n));
      for (size_t i = 0; i < n; ++i) {
        const int value = is_signed ? static_cast<int8_t>(q[offset + i]) : q[offset + i];
        const volatile float wanted = static_cast<float>(value - zero) * scale;
        ASSERT_TRUE(Same(y[i + 1], wanted))
            << value << " - " << zero << " times " << scale << " gave " << y[i + 1];
      }
      ASSERT_EQ(y[0], kGuard);
      for (size_t i = n + 1; i < y.size(); ++i) ASSERT_EQ(y[i], kGuard);
    };
    for (size_t n = 0; n <= kMostElements; ++n) check(n * 7 % 256, n, low + 3, 0.037f);
    for (const int zero : {low, low + 128, low + 255}) {
      for (const float scale : {0.1f, -3.0f, 1e-44f, 3e38f, 0.0f, kInf, kNan}) check(0, 256, zero, scale);
    }
  }
}

// What dequantize, binary, unary and quantize answer, of which each has its own test.
TEST_P(ElementwiseTest, AddsBytesAsItsPartsDo) {
  const ElementwiseKernels& kernels = *GetParam();
  const auto most = static_cast<size_t>(kMostElements);
  std::vector<uint8_t> a(most * 3 + 256), b(a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<uint8_t>(i * 167 + 13);
    b[i] = static_cast<uint8_t>(i * i * 31 + i * 7);
  }
  for (int kind = 0; kind < 8; ++kind) {
    ByteSum sum{.inputs_signed = (kind & 1) != 0,
                .a_zero = 3,
                .b_zero = 117,
                .a_scale = 0.037f,
                .b_scale = 0.11f,
                .relu = (kind & 2) != 0,
                .is_signed = (kind & 4) != 0,
                .zero = 7,
                .scale = 0.061f};
    for (size_t n = 0; n <= a.size(); n = n <= most ? n + 1 : n + 97) {
      const auto count = static_cast<int64_t>(n);
      std::vector<float> x(n + 1), y(n + 1);
      std::vector<uint8_t> wanted(n + 1, 77), got(n + 2, 77);
      kernels.dequantize(a.data(), sum.inputs_signed, sum.a_zero, sum.a_scale, x.data(), count);
      kernels.dequantize(b.data(), sum.inputs_signed, sum.b_zero, sum.b_scale, y.data(), count);
      kernels.binary(BinaryOp::kAdd, x.data(), y.data(), x.data(), count);
      if (sum.relu) kernels.unary(UnaryOp::kRelu, x.data(), x.data(), count);
      kernels.quantize(x.data(), sum.scale, sum.zero, sum.is_signed, wanted.data(), count);
      kernels.add_bytes(sum, a.data(), b.data(), got.data() + 1, count);
      ASSERT_TRUE(std::equal(wanted.begin(), wanted.end(), got.begin() + 1)) << n << " of kind " << kind;
      ASSERT_EQ(got[0], 77);
      sum.scale = sum.scale == 0.061f ? 0.5f : 0.061f;  // the halves are ties
    }
  }
}

TEST_P(ElementwiseTest, LooksUpEveryByte) {
  std::vector<uint8_t> table(256), x(256 + kMostElements);
  for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<uint8_t>(i * 167 + 13);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint8_t>(i * 91);
  for (size_t n = 0; n <= x.size(); ++n) {
    std::vector<uint8_t> y(n + 2, 77);
    GetParam()->look_up(table.data(), x.data(), y.data() + 1, static_cast<int64_t>(n));
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(y[i + 1], table[x[i]]) << i << " of " << n;
    ASSERT_EQ(y[0], 77);
    ASSERT_EQ(y[n + 1], 77);
  }
  std::vector<uint8_t> own = x;
  GetParam()->look_up(table.data(), own.data(), own.data(), static_cast<int64_t>(own.size()));
  for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(own[i], table[x[i]]);
}

// As of a Clip: the same before the one byte and behind the other.
TEST_P(ElementwiseTest, LooksUpTablesThatAreLevelAtTheEnds) {
  std::vector<uint8_t> x(320), y(320);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint8_t>(i * 91);
  for (const size_t low : {0, 1, 16, 100, 128, 255}) {
    for (const size_t high : {0, 15, 100, 128, 240, 255}) {
      std::vector<uint8_t> table(256);
      for (size_t i = 0; i < 256; ++i) table[i] = static_cast<uint8_t>(std::min(std::max(i, low), high) * 3);
      GetParam()->look_up(table.data(), x.data(), y.data(), static_cast<int64_t>(x.size()));
      for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(y[i], table[x[i]]) << low << " to " << high;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ElementwiseTest, testing::ValuesIn([] {
                           std::vector<const ElementwiseKernels*> all;
                           for (const ElementwiseKernels& kernels : AllElementwiseKernels())
                             all.push_back(&kernels);
                           return all;
                         }()),
                         [](const auto& kernels) { return std::string(kernels.param->name); });

TEST(ElementwiseDispatch, PicksForCpusThatAreNotHere) {
  const CpuFlags scalar{}, avx2{.avx2 = true}, vnni{.avx2 = true, .avx512 = true, .avx512_vnni = true},
      amx{.avx2 = true, .avx512 = true, .avx512_vnni = true, .amx_int8 = true};
  EXPECT_EQ(PickElementwise(scalar).name, "elementwise_scalar");
#if defined(__x86_64__)
  EXPECT_EQ(PickElementwise(avx2).name, "elementwise_avx2");
  EXPECT_EQ(PickElementwise(vnni).name, "elementwise_avx512");
  EXPECT_EQ(PickElementwise(amx).name, "elementwise_amx");
#endif
}

}  // namespace
}  // namespace strop::engine
