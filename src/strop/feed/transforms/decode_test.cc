#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spng.h>

#include "strop/feed/transforms/test_images.h"
#include "strop/feed/transforms/test_rows.h"

namespace strop::feed {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TransformChain Decoder(const std::string& options = "") {
  return Chain(DType::kU8, {-1}, "[{\"column\":\"x\",\"name\":\"decode\"" + options + "}]");
}

// 8 or 16 bits, one of PNG's colour types, of these raw bytes (16 bits in this machine's order).
std::string EncodePng(uint32_t height, uint32_t width, uint8_t color_type, uint8_t depth,
                      const std::vector<uint8_t>& raw, const spng_plte* palette = nullptr) {
  spng_ctx* context = spng_ctx_new(SPNG_CTX_ENCODER);
  spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1);
  spng_ihdr header{};
  header.width = width;
  header.height = height;
  header.bit_depth = depth;
  header.color_type = color_type;
  EXPECT_EQ(spng_set_ihdr(context, &header), 0);
  if (palette != nullptr) {
    spng_plte copy = *palette;
    EXPECT_EQ(spng_set_plte(context, &copy), 0);
  }
  EXPECT_EQ(spng_encode_image(context, raw.data(), raw.size(), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE), 0);
  size_t size = 0;
  int error = 0;
  void* memory = spng_get_png_buffer(context, &size, &error);
  EXPECT_EQ(error, 0);
  std::string bytes(static_cast<char*>(memory), size);
  std::free(memory);
  spng_ctx_free(context);
  return bytes;
}

void ExpectSmooth(const JpegRecipe& recipe, const std::vector<uint8_t>& planes, int channels, int tolerance) {
  ASSERT_EQ(planes.size(), static_cast<size_t>(channels * recipe.height * recipe.width));
  size_t at = 0;
  for (int c = 0; c < channels; ++c) {
    for (int y = 0; y < recipe.height; ++y) {
      for (int x = 0; x < recipe.width; ++x)
        ASSERT_NEAR(planes[at++], SmoothPixel(recipe, y, x, c), tolerance);
    }
  }
}

TEST(DecodeTest, JpegBecomesPlanes) {
  for (const bool progressive : {false, true}) {
    const JpegRecipe recipe{.quality = 98, .progressive = progressive};
    ExpectSmooth(recipe, RunRow<uint8_t>(Decoder(), Bytes(EncodeJpeg(recipe))), 3, 16);
  }
  EXPECT_EQ(Decoder().output().shape, (Shape{3, -1, -1}));
}

TEST(DecodeTest, GreyJpegIsReadAsEither) {
  const JpegRecipe recipe{.quality = 98, .channels = 1};
  const auto grey = RunRow<uint8_t>(Decoder(R"(,"mode":"grey")"), Bytes(EncodeJpeg(recipe)));
  ExpectSmooth(recipe, grey, 1, 4);
  const auto rgb = RunRow<uint8_t>(Decoder(), Bytes(EncodeJpeg(recipe)));
  ASSERT_EQ(rgb.size(), 3 * grey.size());
  for (size_t i = 0; i < rgb.size(); ++i) ASSERT_EQ(rgb[i], grey[i % grey.size()]);
}

TEST(DecodeTest, FixedSizesMakeADenseColumn) {
  const TransformChain chain = Decoder(R"(,"height":24,"width":32)");
  EXPECT_TRUE(chain.dense());
  EXPECT_EQ(RunRow<uint8_t>(chain, Bytes(EncodeJpeg({}))).size(), 3u * 24 * 32);
  EXPECT_STREQ(Thrown([&] { RunRow<uint8_t>(chain, Bytes(EncodeJpeg({.height = 25}))); }).what(),
               "column x: transform decode: an image of 25x32 (height x width): expected 24x32, or a resize "
               "after decode");
}

TEST(DecodeTest, EveryTruncationOfAJpegIsCorrupt) {
  for (const bool progressive : {false, true}) {
    const std::string whole = EncodeJpeg({.progressive = progressive});
    const TransformChain chain = Decoder();
    for (size_t length = 0; length < whole.size(); ++length) {
      const Row<uint8_t> row = Bytes(whole.substr(0, length));
      TransformChain::Scratch scratch;
      ASSERT_EQ(Thrown([&] { chain.Apply(row.value(), 0, nullptr, scratch); }).code(), Code::kCorrupt)
          << length;
    }
    ExpectSmooth({}, RunRow<uint8_t>(chain, Bytes(whole)), 3, 40);
  }
}

// But for the checksum of IEND, which has no content.
TEST(DecodeTest, EveryTruncationOfAPngIsCorrupt) {
  const std::string whole = EncodePng(6, 5, SPNG_COLOR_TYPE_TRUECOLOR, 8, Noise(3, 6, 5).values);
  for (size_t length = 0; length < whole.size() - 4; ++length) {
    ASSERT_EQ(Thrown([&] { RunRow<uint8_t>(Decoder(), Bytes(whole.substr(0, length))); }).code(),
              Code::kCorrupt)
        << length;
  }
}

TEST(DecodeTest, AChangedByteOfAPngIsFoundByItsChecksum) {
  std::string bytes = EncodePng(6, 5, SPNG_COLOR_TYPE_TRUECOLOR, 8, Noise(3, 6, 5).values);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  EXPECT_THAT(Thrown([&] { RunRow<uint8_t>(Decoder(), Bytes(bytes)); }).what(), HasSubstr("a damaged PNG: "));
}

TEST(DecodeTest, PngOfEveryColourType) {
  const TransformChain rgb = Decoder(), grey = Decoder(R"(,"mode":"grey")");
  const std::string color = EncodePng(1, 2, SPNG_COLOR_TYPE_TRUECOLOR, 8, {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(RunRow<uint8_t>(rgb, Bytes(color)), ElementsAre(1, 4, 2, 5, 3, 6));
  // Alpha is dropped, not blended.
  const std::string alpha = EncodePng(1, 2, SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, 8, {1, 2, 3, 0, 4, 5, 6, 255});
  EXPECT_THAT(RunRow<uint8_t>(rgb, Bytes(alpha)), ElementsAre(1, 4, 2, 5, 3, 6));
  const std::string plain = EncodePng(1, 2, SPNG_COLOR_TYPE_GRAYSCALE, 8, {7, 250});
  EXPECT_THAT(RunRow<uint8_t>(rgb, Bytes(plain)), ElementsAre(7, 250, 7, 250, 7, 250));
  EXPECT_THAT(RunRow<uint8_t>(grey, Bytes(plain)), ElementsAre(7, 250));
  const std::string grey_alpha = EncodePng(1, 2, SPNG_COLOR_TYPE_GRAYSCALE_ALPHA, 8, {7, 0, 250, 9});
  EXPECT_THAT(RunRow<uint8_t>(grey, Bytes(grey_alpha)), ElementsAre(7, 250));
  // 16 bits: the upper 8 stay.
  const std::string deep = EncodePng(1, 2, SPNG_COLOR_TYPE_GRAYSCALE, 16, {0x34, 0x12, 0xff, 0xff});
  EXPECT_THAT(RunRow<uint8_t>(grey, Bytes(deep)), ElementsAre(0x12, 0xff));
  spng_plte palette{};
  palette.n_entries = 2;
  palette.entries[1] = {10, 20, 30, 255};
  const std::string indexed = EncodePng(1, 2, SPNG_COLOR_TYPE_INDEXED, 8, {1, 0}, &palette);
  EXPECT_THAT(RunRow<uint8_t>(rgb, Bytes(indexed)), ElementsAre(10, 0, 20, 0, 30, 0));
}

TEST(DecodeTest, LumaIsThatOfPillow) {
  // Pillow: Image.new("RGB", (1, 1), c).convert("L") of red, green, blue and white.
  const std::string bytes =
      EncodePng(1, 4, SPNG_COLOR_TYPE_TRUECOLOR, 8, {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255});
  EXPECT_THAT(RunRow<uint8_t>(Decoder(R"(,"mode":"grey")"), Bytes(bytes)), ElementsAre(76, 150, 29, 255));
}

TEST(DecodeTest, SizesOfBombsAreRefusedBeforeMemoryIsTaken) {
  // The header of a JPEG is patched to 65500 x 65500.
  std::string bytes = EncodeJpeg({});
  const size_t frame = bytes.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  for (size_t i : {5, 7}) bytes.replace(frame + i, 2, "\xff\xdc");
  const Error error = Thrown([&] { RunRow<uint8_t>(Decoder(), Bytes(bytes)); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(),
              HasSubstr("a JPEG of 65500x65500 (height x width) has more than 178956970 pixels"));
}

TEST(DecodeTest, SaysWhatItCannotRead) {
  const Error cmyk = Thrown([] { RunRow<uint8_t>(Decoder(), Bytes(EncodeJpeg({.channels = 4}))); });
  EXPECT_EQ(cmyk.code(), Code::kUnsupported);
  EXPECT_THAT(cmyk.what(), HasSubstr("a CMYK JPEG: convert it to RGB first"));
  EXPECT_STREQ(
      Thrown([] { RunRow<uint8_t>(Decoder(), Bytes("GIF89a")); }).what(),
      "column x: transform decode: bytes that start with 47 49 46 38: expected a JPEG (ff d8 ff) or a PNG "
      "(89 50 4e 47)");
  EXPECT_THAT(Thrown([] { RunRow<uint8_t>(Decoder(), Bytes("")); }).what(), HasSubstr("an empty row"));
  EXPECT_THAT(Thrown([] { Chain(DType::kU8, {}, R"([{"column":"x","name":"decode"}])"); }).what(),
              HasSubstr("expected the bytes of a file, uint8 [?]"));
}

TEST(DecodeTest, DamagedBytesNeverCrash) {
  const std::string images[] = {EncodeJpeg({}), EncodeJpeg({.progressive = true}),
                                EncodePng(6, 5, SPNG_COLOR_TYPE_TRUECOLOR, 8, Noise(3, 6, 5).values)};
  const TransformChain chains[] = {Decoder(), Decoder(R"(,"mode":"grey","min_height":3,"min_width":4)")};
  Rng rng(5);
  TransformChain::Scratch scratch;
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = images[round % 3];
    for (uint64_t n = rng.Below(8) + 1; n > 0; --n) {
      // Sizes are left alone, or the test would spend its time on large empty images.
      const size_t at = 3 + rng.Below(bytes.size() - 3);
      const size_t frame = std::min(bytes.find("\xff\xc0"), bytes.find("\xff\xc2"));
      if (round % 3 == 2 ? at < 26 : at >= frame && at < frame + 9) continue;
      bytes[at] = static_cast<char>(rng());
    }
    try {
      chains[round % 2].Apply(Bytes(bytes).value(), 0, nullptr, scratch);
    } catch (const Error&) {
    }
  }
}

TEST(DecodeTest, RandomBytesBehindTheMagicNeverCrash) {
  Rng rng(6);
  TransformChain::Scratch scratch;
  const TransformChain chain = Decoder();
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = round % 2 == 0 ? std::string("\xff\xd8\xff") : std::string("\x89PNG\r\n\x1a\n");
    for (uint64_t n = rng.Below(300); n > 0; --n) bytes += static_cast<char>(rng());
    const Row<uint8_t> row = Bytes(bytes);
    EXPECT_NE(Thrown([&] { chain.Apply(row.value(), 0, nullptr, scratch); }).code(), Code::kInternal);
  }
}

}  // namespace
}  // namespace strop::feed
