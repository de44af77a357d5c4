#pragma once

#include <immintrin.h>

#include <cstdint>

// What the files for AMX share. In the unnamed namespace, as each ISA file keeps its own instances.
namespace strop::engine {
namespace {

// GCC's intrinsics of tiles do not tell it what memory they read: without this before them it may store what
// they need too late, or leave it out.
inline void StoreForTiles() noexcept { asm volatile("" ::: "memory"); }

// Intel SDM, volume 1, 18.2: the palette, and bytes a row and rows of each tile. Tiles 0 to 5 hold so many
// rows, the last two 16.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};

  explicit TileConfig(int64_t count) noexcept {
    for (int tile = 0; tile < 8; ++tile) {
      bytes[tile] = 64;
      rows[tile] = static_cast<uint8_t>(tile < 6 ? count : 16);
    }
  }
  void Load() const noexcept {
    StoreForTiles();
    _tile_loadconfig(this);
  }
};

}  // namespace
}  // namespace strop::engine
