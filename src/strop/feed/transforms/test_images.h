#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <jpeglib.h>

// Encoded images for tests and benchmarks, made by the library itself.
namespace strop::feed {

struct JpegRecipe {
  int height = 24, width = 32, quality = 90;
  int channels = 3;  // 1: grey, 3: RGB, 4: CMYK
  bool progressive = false;
};

// A smooth picture: red grows to the right, green down, blue is 128.
inline uint8_t SmoothPixel(const JpegRecipe& recipe, int y, int x, int channel) {
  if (channel == 0) return static_cast<uint8_t>(x * 255 / recipe.width);
  if (channel == 1) return static_cast<uint8_t>(y * 255 / recipe.height);
  return 128;
}

inline std::string EncodeJpeg(const JpegRecipe& recipe) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* memory = nullptr;
  unsigned long size = 0;  // NOLINT: libjpeg's type
  jpeg_mem_dest(&info, &memory, &size);
  info.image_width = static_cast<JDIMENSION>(recipe.width);
  info.image_height = static_cast<JDIMENSION>(recipe.height);
  info.input_components = recipe.channels;
  info.in_color_space = recipe.channels == 1 ? JCS_GRAYSCALE : recipe.channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, recipe.quality, TRUE);
  if (recipe.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  std::vector<uint8_t> line(static_cast<size_t>(recipe.width * recipe.channels));
  for (int y = 0; y < recipe.height; ++y) {
    for (int x = 0; x < recipe.width; ++x) {
      for (int c = 0; c < recipe.channels; ++c) {
        line[static_cast<size_t>(x * recipe.channels + c)] = SmoothPixel(recipe, y, x, c);
      }
    }
    JSAMPROW row = line.data();
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  std::string bytes(reinterpret_cast<char*>(memory), size);
  jpeg_destroy_compress(&info);
  std::free(memory);
  return bytes;
}

}  // namespace strop::feed
