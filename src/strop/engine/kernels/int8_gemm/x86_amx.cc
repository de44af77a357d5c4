#include "strop/engine/kernels/int8_gemm/declarations.h"
#include "strop/engine/kernels/int8_gemm/tile.h"
#include "strop/engine/kernels/int8_gemm/zmm.h"
#include "strop/engine/kernels/tiles.h"

namespace strop::engine {
namespace {

// Where rows are too few for a tile.
struct Zmm : ZmmLanes {
  static constexpr bool kPairs = false;
  static Reg Dot(Reg sum, Reg a, Reg b) noexcept { return _mm512_dpbusd_epi32(sum, a, b); }
};

constexpr int64_t kNr = 64;                 // columns of a panel
constexpr int64_t kRows = 16, kBytes = 64;  // of a tile register
constexpr int64_t kFewestRows = 8;          // for which tiles are worth their while
constexpr int64_t kGroupBytes = kNr * kInt8Group;
constexpr int64_t kStepGroups = kBytes / kInt8Group;  // groups of k that one product takes

// What is left of k after whole steps, padded with zeros to one.
struct Tail {
  alignas(64) int8_t b[kStepGroups * kGroupBytes];
  alignas(64) uint8_t a[2 * kRows * kBytes];

  // Of the groups of a panel.
  void Fill(const int8_t* groups, int64_t count) noexcept {
    const auto bytes = static_cast<size_t>(count * kGroupBytes);
    std::memcpy(b, groups, bytes);
    std::memset(b + bytes, 0, sizeof b - bytes);
    StoreForTiles();
  }
};

// The panel behind the one at hand, whose every product fetches a part of it into L2: weights lie in L3 or
// beyond, and the hardware's own fetching does not keep up with tiles.
class Ahead {
 public:
  // For products of so many pairs of tiles of rows; nullptr: there is no panel behind.
  Ahead(const int8_t* panel, int64_t pairs) noexcept
      : at_(panel), bytes_(panel == nullptr ? 0 : (kNr / 2 + pairs - 1) / pairs * kBytes) {}
  void FetchPart() noexcept {
    for (const int8_t* const end = at_ + bytes_; at_ < end; at_ += kBytes) __builtin_prefetch(at_, 0, 2);
  }

 private:
  const int8_t* at_;
  const int64_t bytes_;
};

using Columns = Int8Columns<Zmm, kNr>;

struct PanelOf {
  const Int8GemmArgs& g;
  const Columns& columns;
  Tail& tail;
  Ahead& ahead;
  const int8_t* panel;
  int64_t col, width;
  int64_t rows;        // of a tile, up to 16
  const uint8_t* end;  // of a
};

// The rows of one tile or of two.
template <int kTall>
struct RowTiles {
  const uint8_t* a[kTall];
  int64_t row[kTall];
};

// kTall tiles of rows by kWide of 16 columns: tiles 0 to 3 are their sums, tiles 4 and 5 rows of a, tiles
// 6 and 7 columns of b.
template <bool kSigned, int kTall, int kWide>
inline void Multiply(const uint8_t* a0, const uint8_t* a1, int64_t lda, const int8_t* b) noexcept {
  _tile_loadd(6, b, kGroupBytes);
  _tile_loadd(4, a0, lda);
  if constexpr (kWide == 2) _tile_loadd(7, b + kBytes, kGroupBytes);
  if constexpr (kTall == 2) _tile_loadd(5, a1, lda);
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

// sums[kTall · 16][kNr] of the columns of a panel from `column` on.
template <bool kSigned, int kTall, int kWide>
inline void Block(const PanelOf& p, const RowTiles<kTall>& tiles, int64_t column, int32_t* sums) noexcept {
  const Int8GemmArgs& g = p.g;
  const int64_t left = g.k % kBytes, at = column * kInt8Group;
  // Beginning at the corrections instead would load four tiles.
  _tile_zero(0);
  if constexpr (kWide == 2) _tile_zero(1);
  if constexpr (kTall == 2) _tile_zero(2);
  if constexpr (kTall == 2 && kWide == 2) _tile_zero(3);
  const int64_t depth = g.tap_depth == 0 ? g.k - left : g.tap_depth;
  const int8_t* b = p.panel + at;
  for (int64_t done = 0, tap = 0; done < g.k - left; done += depth, ++tap) {
    const int64_t offset = g.tap_offset == nullptr ? 0 : g.tap_offset[tap];
    const uint8_t *a0 = tiles.a[0] + offset, *a1 = tiles.a[kTall - 1] + offset;
    for (int64_t x = 0; x < depth; x += kBytes, b += kStepGroups * kGroupBytes) {
      p.ahead.FetchPart();
      Multiply<kSigned, kTall, kWide>(a0 + x, a1 + x, g.lda, b);
    }
  }
  if (left > 0) {  // of rows of one part
    // What lies behind a row meets zeros of b; nothing is read behind the last one.
    const uint8_t *const a0 = tiles.a[0] + g.k - left, *const a1 = tiles.a[kTall - 1] + g.k - left;
    if (a1 + (p.rows - 1) * g.lda + kBytes <= p.end) {
      Multiply<kSigned, kTall, kWide>(a0, a1, g.lda, p.tail.b + at);
    } else {
      const __mmask64 mask = (uint64_t{1} << left) - 1;
      for (int64_t i = 0; i < p.rows; ++i) {
        const auto put = [&](int64_t row, const uint8_t* from) {
          _mm512_store_si512(p.tail.a + row * kBytes, _mm512_maskz_loadu_epi8(mask, from + i * g.lda));
        };
        put(i, a0);
        if constexpr (kTall == 2) put(kRows + i, a1);
      }
      StoreForTiles();
      Multiply<kSigned, kTall, kWide>(p.tail.a, p.tail.a + kRows * kBytes, kBytes, p.tail.b + at);
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
inline void Finish(const PanelOf& p, int64_t row, const int32_t* sums) noexcept {
  if constexpr (NV > 1) {
    if (p.width <= (NV - 1) * Zmm::kWidth) return Finish<NV - 1>(p, row, sums);
  }
  Int8Finish<Zmm, kNr, NV, true>(p.g, p.columns, sums, row, p.rows, p.col, p.width);
}

// All columns of a panel.
template <bool kSigned, int kTall>
inline void Rows(const PanelOf& p, const RowTiles<kTall>& tiles, int32_t* sums) noexcept {
  for (int64_t column = 0; column < p.width; column += 2 * kRows) {
    if (p.width - column > kRows) {
      Block<kSigned, kTall, 2>(p, tiles, column, sums + column);
    } else {
      Block<kSigned, kTall, 1>(p, tiles, column, sums + column);
    }
  }
  for (int tile = 0; tile < kTall; ++tile) Finish<4>(p, tiles.row[tile], sums + tile * kRows * kNr);
}

// Tiles of rows, two by two; the last one of a run goes over rows that the one before has done.
template <bool kSigned>
inline void Panel(const Int8GemmArgs& g, int64_t rows, int64_t col, int64_t width, const int8_t* panel,
                  int32_t* sums) noexcept {
  const Columns columns(g, col, width, false);
  const int64_t whole = g.k / kBytes * kStepGroups, groups = (g.k + kInt8Group - 1) / kInt8Group;
  Tail tail;
  if (whole < groups) tail.Fill(panel + whole * kGroupBytes, groups - whole);
  const int64_t run = g.run == 0 ? g.m : g.run;
  const uint8_t* const end = g.a + (g.m / run - 1) * g.run_stride + (run - 1) * g.lda + g.k;
  Ahead ahead(col + width < g.n ? panel + groups * kGroupBytes : nullptr, (g.m + 2 * rows - 1) / (2 * rows));
  const PanelOf p{g, columns, tail, ahead, panel, col, width, rows, end};
  int64_t run_row = 0, in_run = 0;
  const uint8_t* run_a = g.a;
  const auto next = [&](const uint8_t** a, int64_t* row) {
    const int64_t first = in_run + rows < run ? in_run : run - rows;
    *a = run_a + first * g.lda;
    *row = run_row + first;
    in_run = first + rows;
    if (in_run < run) return;
    in_run = 0;
    run_row += run;
    run_a += g.run_stride;
  };
  while (run_row < g.m) {
    RowTiles<2> tiles;
    next(&tiles.a[0], &tiles.row[0]);
    if (run_row < g.m) {
      next(&tiles.a[1], &tiles.row[1]);
      Rows<kSigned, 2>(p, tiles, sums);
    } else {
      Rows<kSigned, 1>(p, {{tiles.a[0]}, {tiles.row[0]}}, sums);
    }
  }
}

}  // namespace

void gemm_u8s8_32x64_amx(const Int8GemmArgs& args) noexcept {
  const int64_t run = args.run == 0 ? args.m : args.run, rows = run < kRows ? run : kRows;
  if (rows < kFewestRows) return Int8Gemm<Zmm, 6, 4>(args);
  TileConfig(rows).Load();
  const int64_t depth = (args.k + kInt8Group - 1) / kInt8Group * kInt8Group;
  alignas(64) int32_t sums[2 * kRows * kNr];
  for (int64_t col = 0; col < args.n; col += kNr) {
    const int64_t width = col + kNr < args.n ? kNr : args.n - col;
    const int8_t* panel = args.b + col * depth;
    if (args.is_signed) {
      Panel<true>(args, rows, col, width, panel, sums);
    } else {
      Panel<false>(args, rows, col, width, panel, sums);
    }
  }
  _tile_release();
}

}  // namespace strop::engine
