#include "strop/engine/kernels/int8_gemm/declarations.h"
#include "strop/engine/kernels/int8_gemm/tile.h"
#include "strop/engine/kernels/int8_gemm/zmm.h"

namespace strop::engine {
namespace {

// Where rows are too few for a tile.
struct Zmm : ZmmLanes {
  static Reg Dot(Reg sum, Reg a, Reg b) noexcept { return _mm512_dpbusd_epi32(sum, a, b); }
};

constexpr int64_t kNr = 64;                 // columns of a panel
constexpr int64_t kRows = 16, kBytes = 64;  // of a tile register
constexpr int64_t kGroupBytes = kNr * kInt8Group;
constexpr int64_t kStepGroups = kBytes / kInt8Group;  // groups of k that one product takes

// Intel SDM, volume 1, 18.2: the palette, and bytes a row and rows of each tile.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};

  TileConfig() noexcept {
    for (int tile = 0; tile < 8; ++tile) {
      bytes[tile] = kBytes;
      rows[tile] = kRows;
    }
  }
};

// Tiles 0 to 3 are sums of 2 x 2 times 16 x 16, tiles 4 and 5 rows of a, tiles 6 and 7 columns of b.
template <bool kSigned, bool kTall>
inline void Multiply(const uint8_t* a, int64_t lda, const int8_t* b) noexcept {
  _tile_loadd(6, b, kGroupBytes);
  _tile_loadd(7, b + kBytes, kGroupBytes);
  _tile_loadd(4, a, lda);
  if constexpr (kTall) _tile_loadd(5, a + kRows * lda, lda);
  if constexpr (kSigned) {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    if constexpr (kTall) {
      _tile_dpbssd(2, 5, 6);
      _tile_dpbssd(3, 5, 7);
    }
  } else {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    if constexpr (kTall) {
      _tile_dpbusd(2, 5, 6);
      _tile_dpbusd(3, 5, 7);
    }
  }
}

// What is left of k after whole steps, padded with zeros to one.
struct Tail {
  alignas(64) int8_t b[kStepGroups * kGroupBytes] = {};
  alignas(64) uint8_t a[2 * kRows * kBytes] = {};
};

// sums[kTall ? 32 : 16][kNr] of rows from a.
template <bool kSigned, bool kTall>
inline void Block(const uint8_t* a, int64_t lda, int64_t k, const int8_t* panel, Tail& tail,
                  int32_t* sums) noexcept {
  const int64_t steps = k / kBytes, left = k % kBytes;
  for (int64_t i = 0; left > 0 && i < (kTall ? 2 : 1) * kRows; ++i)
    std::memcpy(tail.a + i * kBytes, a + i * lda + steps * kBytes, static_cast<size_t>(left));
  for (int64_t half = 0; half < kNr; half += 2 * kRows) {
    const int64_t column = half * kInt8Group;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t step = 0; step < steps; ++step)
      Multiply<kSigned, kTall>(a + step * kBytes, lda, panel + step * kStepGroups * kGroupBytes + column);
    if (left > 0) Multiply<kSigned, kTall>(tail.a, kBytes, tail.b + column);
    const int64_t stride = kNr * static_cast<int64_t>(sizeof(int32_t));
    _tile_stored(0, sums + half, stride);
    _tile_stored(1, sums + half + kRows, stride);
    if constexpr (kTall) {
      _tile_stored(2, sums + kRows * kNr + half, stride);
      _tile_stored(3, sums + kRows * kNr + half + kRows, stride);
    }
  }
}

// Blocks of 32 or 16 rows; the last one goes over rows that the one before has done.
template <bool kSigned>
inline void Panel(const Int8GemmArgs& g, int64_t col, int64_t width, const int8_t* panel,
                  int32_t* sums) noexcept {
  const Int8Columns<Zmm, kNr> columns(g, col, width, false);
  Tail tail;
  const int64_t whole = g.k / kBytes * kStepGroups, groups = (g.k + kInt8Group - 1) / kInt8Group;
  std::memcpy(tail.b, panel + whole * kGroupBytes, static_cast<size_t>((groups - whole) * kGroupBytes));
  for (int64_t row = 0; row < g.m;) {
    const bool tall = g.m >= 2 * kRows && g.m - row > kRows;
    const int64_t rows = (tall ? 2 : 1) * kRows, first = row + rows < g.m ? row : g.m - rows;
    const uint8_t* a = g.a + first * g.lda;
    if (tall) {
      Block<kSigned, true>(a, g.lda, g.k, panel, tail, sums);
    } else {
      Block<kSigned, false>(a, g.lda, g.k, panel, tail, sums);
    }
    for (; row < first + rows; ++row)
      Int8Finish<Zmm, kNr>(g, columns, sums + (row - first) * kNr, row * g.ldc + col, width);
  }
}

}  // namespace

void gemm_u8s8_32x64_amx(const Int8GemmArgs& args) noexcept {
  if (args.m < kRows) return Int8Gemm<Zmm, 6, 4>(args);
  const TileConfig config;
  _tile_loadconfig(&config);
  const int64_t depth = (args.k + kInt8Group - 1) / kInt8Group * kInt8Group;
  alignas(64) int32_t sums[2 * kRows * kNr];
  for (int64_t col = 0; col < args.n; col += kNr) {
    const int64_t width = col + kNr < args.n ? kNr : args.n - col;
    const int8_t* panel = args.b + col * depth;
    if (args.is_signed) {
      Panel<true>(args, col, width, panel, sums);
    } else {
      Panel<false>(args, col, width, panel, sums);
    }
  }
  _tile_release();
}

}  // namespace strop::engine
