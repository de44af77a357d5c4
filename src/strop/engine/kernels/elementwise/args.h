#pragma once

#include <cstdint>

namespace strop::engine {

enum class UnaryOp {
  kNeg,
  kAbs,
  kSqrt,
  kReciprocal,
  kExp,
  kLog,
  kErf,
  kTanh,
  kSigmoid,
  kGelu,  // x · Φ(x), of the normal distribution
  kRelu,  // 0 where x < 0, else x: NaN and -0 stay
  kFloor,
  kCeil,
  kRound,  // half to even
};

// kMax and kMin answer NaN where either operand is, as numpy.maximum and ONNX do; of 0 and -0 either.
enum class BinaryOp { kAdd, kSub, kMul, kDiv, kMax, kMin };

// Two tensors of bytes that stand for numbers, and the bytes of their sum.
struct ByteSum {
  bool inputs_signed = false;  // both int8, else uint8
  int32_t a_zero = 0, b_zero = 0;
  float a_scale = 1, b_scale = 1;
  bool relu = false;  // of the sum
  bool is_signed = false;
  int32_t zero = 0;
  float scale = 1;
};

// Loops over n >= 0 contiguous elements at any alignment. They check nothing, and read and write nothing
// beyond the n. y of float32 may be an input itself, from its first element on; else it lies apart from them.
// Bytes lie apart from the floats.
struct ElementwiseFunctions {
  void (*unary)(UnaryOp op, const float* x, float* y, int64_t n) noexcept;
  // The lower of high and the higher of low and x, as ONNX Clip: high where low > high. NaN
  // stays, and a NaN bound bounds nothing.
  void (*clip)(float low, float high, const float* x, float* y, int64_t n) noexcept;
  void (*leaky)(float alpha, const float* x, float* y, int64_t n) noexcept;  // alpha · x where x < 0, else x
  void (*binary)(BinaryOp op, const float* a, const float* b, float* y, int64_t n) noexcept;
  void (*binary_scalar)(BinaryOp op, const float* a, float b, float* y, int64_t n) noexcept;
  void (*scalar_binary)(BinaryOp op, float a, const float* b, float* y, int64_t n) noexcept;
  // float(q - zero) * scale of int8, or of uint8 where not is_signed. zero is of the bytes' range.
  void (*dequantize)(const void* q, bool is_signed, int32_t zero, float scale, float* y, int64_t n) noexcept;
  // round(x / scale) + zero, half to even, saturated; 0 where x / scale is NaN, as the reference evaluator
  // has it.
  void (*quantize)(const float* x, float scale, int32_t zero, bool is_signed, void* q, int64_t n) noexcept;
  // dequantize of both, kAdd, kRelu if so, and quantize, without a pass for each.
  void (*add_bytes)(const ByteSum& sum, const uint8_t* a, const uint8_t* b, uint8_t* q, int64_t n) noexcept;
  // y[i] = table[x[i]] of 256 bytes; y may be x.
  void (*look_up)(const uint8_t* table, const uint8_t* x, uint8_t* y, int64_t n) noexcept;
};

}  // namespace strop::engine
