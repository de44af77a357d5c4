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

// How many tiles of 16 rows and of 16 columns a block has: tiles 0 to 3 are its sums, tiles 4 and 5 rows of
// a, tiles 6 and 7 columns of b.
template <bool kSigned, int kTall, int kWide>
inline void Multiply(const uint8_t* a, int64_t lda, const int8_t* b) noexcept {
  _tile_loadd(6, b, kGroupBytes);
  _tile_loadd(4, a, lda);
  if constexpr (kWide == 2) _tile_loadd(7, b + kBytes, kGroupBytes);
  if constexpr (kTall == 2) _tile_loadd(5, a + kRows * lda, lda);
  if constexpr (kSigned) {
    _tile_dpbssd(0, 4, 6);
    if constexpr (kWide == 2) _tile_dpbssd(1, 4, 7);
    if constexpr (kTall == 2) _tile_dpbssd(2, 5, 6);
    if constexpr (kTall == 2 && kWide == 2) _tile_dpbssd(3, 5, 7);
  } else {
    _tile_dpbusd(0, 4, 6);
    if constexpr (kWide == 2) _tile_dpbusd(1, 4, 7);
    if constexpr (kTall == 2) _tile_dpbusd(2, 5, 6);
    if constexpr (kTall == 2 && kWide == 2) _tile_dpbusd(3, 5, 7);
  }
}

// What is left of k after whole steps, padded with zeros to one.
struct Tail {
  alignas(64) int8_t b[kStepGroups * kGroupBytes] = {};
  alignas(64) uint8_t a[2 * kRows * kBytes] = {};
};

using Columns = Int8Columns<Zmm, kNr>;

struct PanelOf {
  const Int8GemmArgs& g;
  const Columns& columns;
  Tail& tail;
  const int8_t* panel;
  int64_t col, width;
};

// kTall · 16 rows from `row` on, of kWide · 16 columns of a panel from `column` on.
template <bool kSigned, int kTall, int kWide>
inline void Block(const PanelOf& p, int64_t row, int64_t column, int32_t* sums) noexcept {
  const Int8GemmArgs& g = p.g;
  const uint8_t* const a = g.a + row * g.lda;
  const int64_t steps = g.k / kBytes, left = g.k % kBytes, at = column * kInt8Group;
  // A stride of nothing makes every row the same.
  _tile_loadd(0, p.columns.correction + column, 0);
  if constexpr (kWide == 2) _tile_loadd(1, p.columns.correction + column + kRows, 0);
  if constexpr (kTall == 2) _tile_loadd(2, p.columns.correction + column, 0);
  if constexpr (kTall == 2 && kWide == 2) _tile_loadd(3, p.columns.correction + column + kRows, 0);
  for (int64_t step = 0; step < steps; ++step)
    Multiply<kSigned, kTall, kWide>(a + step * kBytes, g.lda,
                                    p.panel + step * kStepGroups * kGroupBytes + at);
  if (left > 0) {
    // What lies behind a row meets zeros of b; nothing is read behind the last one.
    const uint8_t* const last = a + steps * kBytes;
    if (last + (kTall * kRows - 1) * g.lda + kBytes <= g.a + (g.m - 1) * g.lda + g.k) {
      Multiply<kSigned, kTall, kWide>(last, g.lda, p.tail.b + at);
    } else {
      const __mmask64 mask = (uint64_t{1} << left) - 1;
      for (int64_t i = 0; i < kTall * kRows; ++i)
        _mm512_store_si512(p.tail.a + i * kBytes, _mm512_maskz_loadu_epi8(mask, last + i * g.lda));
      Multiply<kSigned, kTall, kWide>(p.tail.a, kBytes, p.tail.b + at);
    }
  }
  const int64_t stride = kNr * static_cast<int64_t>(sizeof(int32_t));
  _tile_stored(0, sums, stride);
  if constexpr (kWide == 2) _tile_stored(1, sums + kRows, stride);
  if constexpr (kTall == 2) _tile_stored(2, sums + kRows * kNr, stride);
  if constexpr (kTall == 2 && kWide == 2) _tile_stored(3, sums + kRows * kNr + kRows, stride);
}

// With as many vectors as the columns need.
template <int NV>
inline void Finish(const PanelOf& p, int64_t row, int64_t rows, const int32_t* sums) noexcept {
  if constexpr (NV > 1) {
    if (p.width <= (NV - 1) * Zmm::kWidth) return Finish<NV - 1>(p, row, rows, sums);
  }
  Int8Finish<Zmm, kNr, NV>(p.g, p.columns, sums, row, rows, p.col, 0, p.width);
}

// All columns of a panel for those rows.
template <bool kSigned, int kTall>
inline void Rows(const PanelOf& p, int64_t row, int32_t* sums) noexcept {
  for (int64_t column = 0; column < p.width; column += 2 * kRows) {
    if (p.width - column > kRows) {
      Block<kSigned, kTall, 2>(p, row, column, sums + column);
    } else {
      Block<kSigned, kTall, 1>(p, row, column, sums + column);
    }
  }
  Finish<4>(p, row, kTall * kRows, sums);
}

// Blocks of 32 or 16 rows; the last one goes over rows that the one before has done.
template <bool kSigned>
inline void Panel(const Int8GemmArgs& g, int64_t col, int64_t width, const int8_t* panel,
                  int32_t* sums) noexcept {
  const Columns columns(g, col, width, false);
  Tail tail;
  const int64_t whole = g.k / kBytes * kStepGroups, groups = (g.k + kInt8Group - 1) / kInt8Group;
  std::memcpy(tail.b, panel + whole * kGroupBytes, static_cast<size_t>((groups - whole) * kGroupBytes));
  const PanelOf p{g, columns, tail, panel, col, width};
  for (int64_t row = 0; row < g.m;) {
    const bool tall = g.m >= 2 * kRows && g.m - row > kRows;
    const int64_t rows = (tall ? 2 : 1) * kRows, first = row + rows < g.m ? row : g.m - rows;
    if (tall) {
      Rows<kSigned, 2>(p, first, sums);
    } else {
      Rows<kSigned, 1>(p, first, sums);
    }
    row = first + rows;
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
