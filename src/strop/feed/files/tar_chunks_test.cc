#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strop/base/file.h"
#include "strop/base/test_error.h"
#include "strop/feed/files/index_cache.h"
#include "strop/feed/files/sample_chunks.h"
#include "strop/feed/files/test_sink.h"
#include "strop/feed/files/test_tar.h"

namespace strop::feed {
namespace {

using test::BytesOf;
using test::PaxRecord;
using test::ReadRows;
using test::Rows;
using test::TarEntry;
using test::TarOf;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class TarChunks : public test::SourceTest {
 protected:
  std::shared_ptr<Source> Open(const std::string& bytes, const std::vector<std::string>& columns = {}) const {
    return OpenFiles({Write("shard.tar", bytes)}, columns);
  }
  Error OpenError(const std::string& bytes) const {
    return Thrown([&] { Open(bytes); });
  }
  // As many samples as asked, of sizes around tar's block of 512.
  static std::string Image(int sample) {
    return std::string(static_cast<size_t>(500 + sample), static_cast<char>('a' + sample % 26));
  }
};

TEST_F(TarChunks, FilesOfOneNameAreASample) {
  const auto source = Open(TarOf({{"a/000.jpg", "JPEG0"},
                                  {"a/000.cls", "7\n"},
                                  {"a/000.seg.png", "PNG0"},
                                  {"README", "no dot"},
                                  {".hidden", "nothing before the dot"},
                                  {"a.b/", "", '5'},
                                  {"a.b/001.JPG", ""},
                                  {"a.b/001.cls", "-3"},
                                  {"a.b/001.seg.png", std::string(1000, 'x')}}));
  std::vector<std::string> names;
  for (const auto& column : source->columns()) names.push_back(column.name);
  EXPECT_THAT(names, ElementsAre("__key__", "jpg", "cls", "seg.png"));
  EXPECT_EQ(source->columns()[0].role, data::Role::kId);
  EXPECT_EQ(source->columns()[1].shape, (Shape{-1}));
  EXPECT_EQ(source->columns()[2].dtype, DType::kI64);
  EXPECT_FALSE(source->columns()[2].ragged());
  const Rows rows = ReadRows(*source);
  EXPECT_THAT(rows.at("__key__"), ElementsAre("a/000", "a.b/001"));
  EXPECT_THAT(rows.at("jpg"), ElementsAre("JPEG0", ""));
  EXPECT_THAT(rows.at("cls"), ElementsAre(BytesOf<int64_t>(7), BytesOf<int64_t>(-3)));
  EXPECT_THAT(rows.at("seg.png"), ElementsAre("PNG0", std::string(1000, 'x')));
}

TEST_F(TarChunks, ATableHasTheSameRows) {
  const auto source =
      Open(TarOf({{"0.cls", "1"}, {"0.jpg", "x"}, {"1.cls", "2"}, {"1.jpg", ""}}), {"jpg", "cls"});
  const auto table = source->NewReader()->ReadTable(0);
  EXPECT_TRUE(table->schema()->Equals(*source->schema()));
  EXPECT_EQ(test::RowsOf(*table, {"jpg", "cls"}), ReadRows(*source));
}

TEST_F(TarChunks, SamplesAreCutIntoChunksByBytesAndNumber) {
  std::string bytes;
  for (int i = 0; i < 40; ++i) {
    bytes += test::TarEntryBytes({fmt::format("{:03}.jpg", i), Image(i)});
    bytes += test::TarEntryBytes({fmt::format("{:03}.cls", i), std::to_string(i)});
  }
  const auto path = Write("shard.tar", bytes + std::string(1024, '\0'));
  const Rows whole = ReadRows(*OpenTarFile(path)(), {"__key__", "jpg", "cls"});
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(whole.at("jpg")[static_cast<size_t>(i)], Image(i));
    EXPECT_EQ(whole.at("cls")[static_cast<size_t>(i)], BytesOf<int64_t>(i));
  }
  for (const SampleOptions options : {SampleOptions{1, 256}, {1200, 256}, {1 << 20, 7}, {5000, 3}}) {
    const auto file = OpenTarFile(path, options)();
    EXPECT_EQ(ReadRows(*file, {"jpg", "cls", "__key__"}), whole);
  }
  EXPECT_EQ(OpenTarFile(path, {1, 256})()->ChunkRows().size(), 40u);
  EXPECT_EQ(OpenTarFile(path, {1 << 20, 7})()->ChunkRows(), (std::vector<int64_t>{7, 7, 7, 7, 7, 5}));
}

TEST_F(TarChunks, LongNamesOfEveryFormatAreWhole) {
  const std::string folder(90, 'd'), long_name = folder + "/" + std::string(120, 'k') + ".cls";
  const std::string key = long_name.substr(0, long_name.size() - 4);
  const std::vector<std::string> archives = {
      TarOf({{std::string(95, 'k') + ".cls", "1", '0', folder}}),
      TarOf({{"././@LongLink", long_name + '\0', 'L', "", true}, {long_name, "1", '0', "", true}}),
      TarOf({{"PaxHeaders/x", PaxRecord("mtime", "1.5") + PaxRecord("path", long_name), 'x'},
             {long_name, "1"}})};
  const std::vector<std::string> keys = {folder + "/" + std::string(95, 'k'), key, key};
  for (size_t i = 0; i < archives.size(); ++i) {
    const Rows rows = ReadRows(*Open(archives[i]));
    EXPECT_THAT(rows.at("__key__"), ElementsAre(keys[i]));
    EXPECT_THAT(rows.at("cls"), ElementsAre(BytesOf<int64_t>(1)));
  }
}

TEST_F(TarChunks, SizesOfPaxAndBinarySizesAreTaken) {
  const std::string binary = std::string("\x80", 1) + std::string(10, '\0') + "\x03";
  const std::string bytes = TarOf({{"PaxHeaders/0.txt", PaxRecord("size", "5"), 'x'},
                                   {"0.txt", "hello", '0', "", false, "00000000000"},
                                   {"1.txt", "abc", '0', "", true, binary},
                                   {"pax_global_header", PaxRecord("comment", "x"), 'g'},
                                   {"2.txt", "end"}});
  EXPECT_THAT(ReadRows(*Open(bytes)).at("txt"), ElementsAre("hello", "abc", "end"));
}

// The tar of the machine that builds, in each format that it writes.
TEST_F(TarChunks, WhatTarWritesIsRead) {
  const std::string deep = std::string(60, 'a') + "/" + std::string(60, 'b');
  for (const std::string& name : std::vector<std::string>{"x/0", "x/1", deep + "/2"}) {
    Write("in/" + name + ".cls", std::to_string(name.size()));
    Write("in/" + name + ".jpg", std::string(name.size() * 300, 'j'));
  }
  const auto data = folder_.path() / "data";
  for (const std::string format : {"ustar", "gnu", "pax", "v7"}) {
    if (format == "v7") std::filesystem::remove_all(data / "in" / std::string(60, 'a'));
    const std::string command = fmt::format("cd '{}' && tar --sort=name --format={} -cf ../{}.tar .",
                                            (data / "in").string(), format, format);
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    const Rows rows = ReadRows(*OpenFiles({data / (format + ".tar")}, {}));
    const std::vector<std::string> expected =
        format == "v7" ? std::vector<std::string>{"./x/0", "./x/1"}
                       : std::vector<std::string>{"./" + deep + "/2", "./x/0", "./x/1"};
    EXPECT_EQ(rows.at("__key__"), expected) << format;
    for (size_t i = 0; i < expected.size(); ++i) {
      const size_t size = expected[i].size() - 2;
      EXPECT_EQ(rows.at("cls")[i], BytesOf(static_cast<int64_t>(size))) << format;
      EXPECT_EQ(rows.at("jpg")[i], std::string(size * 300, 'j')) << format;
    }
  }
}

TEST_F(TarChunks, EveryCutIsFoundAtOpening) {
  const std::string whole =
      TarOf({{"0.jpg", std::string(700, 'x')}, {"0.cls", "1"}, {"1.jpg", "y"}, {"1.cls", "2"}});
  for (size_t size = 0; size < whole.size() - 1024 + 512; size += 100) {
    const Error error = OpenError(whole.substr(0, size));
    EXPECT_EQ(error.code(), Code::kCorrupt) << size;
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("shard.tar"), HasSubstr("byte "), HasSubstr("write or copy it again")));
  }
  EXPECT_THAT(OpenError(whole.substr(0, 600)).what(),
              AllOf(HasSubstr("byte 0, after member 0.jpg"), HasSubstr("states 700 bytes and 88 are left")));
}

TEST_F(TarChunks, AHeaderThatWasChangedIsNamed) {
  std::string bytes = TarOf({{"0.jpg", "x"}, {"1.jpg", "y"}});
  bytes[1024] = '7';
  const Error error = OpenError(bytes);
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("byte 1024, after member 0.jpg"), HasSubstr("checksum")));
  EXPECT_EQ(OpenError(std::string(2048, 'z')).code(), Code::kCorrupt);
}

TEST_F(TarChunks, ASampleThatLacksAColumnIsNamed) {
  const auto source = Open(TarOf({{"0.jpg", "x"}, {"0.cls", "1"}, {"1.jpg", "y"}, {"1.txt", "z"}}));
  const Error error = Thrown([&] { ReadRows(*source); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("shard.tar"), HasSubstr("sample \"1\" has no cls")));
  const auto jpg = OpenFiles({folder_.path() / "data" / "shard.tar"}, {"jpg"});
  EXPECT_THAT(ReadRows(*jpg).at("jpg"), ElementsAre("x", "y"));
}

TEST_F(TarChunks, AFileThatIsThereTwiceIsNamed) {
  const Error error = OpenError(TarOf({{"0.jpg", "x"}, {"0.JPG", "y"}}));
  EXPECT_EQ(error.code(), Code::kCorrupt);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("sample \"0\""), HasSubstr("twice")));
}

TEST_F(TarChunks, AClassThatIsNoNumberIsNamed) {
  for (const char* text : {"cat", "", "1.5", "9223372036854775808"}) {
    const auto source = Open(TarOf({{"0.cls", text}, {"0.jpg", "x"}}));
    const Error error = Thrown([&] { ReadRows(*source); });
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("0.cls"), HasSubstr(fmt::format("\"{}\"", text))));
  }
}

TEST_F(TarChunks, AnArchiveWithoutSamplesIsRefused) {
  EXPECT_THAT(OpenError(TarOf({{"README", "x"}})).what(), HasSubstr("has no samples"));
}

TEST_F(TarChunks, TheIndexIsKeptAndADamagedOneMadeAgain) {
  const auto path = Write("shard.tar", TarOf({{"0.jpg", "x"}, {"0.cls", "1"}}));
  const Rows rows = ReadRows(*OpenFiles({path}, {}));
  const auto entry = IndexPath(path);
  const std::string whole = ReadFile(entry);
  EXPECT_EQ(ReadRows(*OpenFiles({path}, {})), rows);
  for (size_t at = 0; at < whole.size(); at += 5) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    WriteFileAtomically(entry, bytes);
    ASSERT_EQ(ReadRows(*OpenFiles({path}, {})), rows) << at;
    ASSERT_EQ(ReadFile(entry), whole) << at;
  }
}

}  // namespace
}  // namespace strop::feed
