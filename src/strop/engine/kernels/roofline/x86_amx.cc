#include <cstdint>

#include <immintrin.h>

#include "strop/engine/kernels/roofline/kernels.h"
#include "strop/engine/kernels/tiles.h"

namespace strop::engine {
namespace {

struct alignas(64) Tile {
  int8_t bytes[16 * 64];
  explicit Tile(int8_t value) noexcept {
    for (int8_t& byte : bytes) byte = value;
  }
};

}  // namespace

// The compiler leaves instructions of tiles as they stand.
float peak_int8_amx(int64_t steps) noexcept {
  const Tile a(kPeakA), b(kPeakB);
  alignas(64) int32_t sums[kPeakTiles][16 * 16];
  TileConfig(16).Load();
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_loadd(6, a.bytes, 64);
  _tile_loadd(7, b.bytes, 64);
  for (int64_t step = 0; step < steps; ++step) {
    _tile_dpbusd(0, 6, 7);
    _tile_dpbusd(1, 6, 7);
    _tile_dpbusd(2, 6, 7);
    _tile_dpbusd(3, 6, 7);
    _tile_dpbusd(4, 6, 7);
    _tile_dpbusd(5, 6, 7);
  }
  _tile_stored(0, sums[0], 64);
  _tile_stored(1, sums[1], 64);
  _tile_stored(2, sums[2], 64);
  _tile_stored(3, sums[3], 64);
  _tile_stored(4, sums[4], 64);
  _tile_stored(5, sums[5], 64);
  _tile_release();
  float total = 0;
  for (const auto& tile : sums)
    for (const int32_t sum : tile) total += static_cast<float>(sum);
  return total;
}

}  // namespace strop::engine
