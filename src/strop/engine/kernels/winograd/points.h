#pragma once

// The points that F(4x4, 3x3) evaluates at: 0, ±kWinogradA, ±kWinogradB and infinity. Every power and product
// that the transforms need is exact in float32. Of the pairs near (√½, √2) with that property this one's
// error was the smallest; the usual (1, 2) and (1, ½) are off by twice as much.
namespace strop::engine {

inline constexpr float kWinogradA = 0.65625f;
inline constexpr float kWinogradB = 1.5f;

}  // namespace strop::engine
