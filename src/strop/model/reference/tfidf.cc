#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "strop/model/reference/numeric.h"
#include "strop/model/reference/operator.h"
#include "strop/model/text.h"

namespace strop::model::reference {
namespace {

using Grams = std::map<std::vector<int64_t>, int64_t>;  // to the column that counts them

// ngram_counts[n - 1] is where the pool's n-grams begin; each has the column ngram_indexes[its number].
Grams ReadPool(const Call& call, size_t least, size_t most) {
  if (call.node.attributes.contains("pool_strings")) call.Refuse("a pool of strings");
  const std::vector<int64_t> pool = call.node.Ints("pool_int64s"), counts = call.node.Ints("ngram_counts"),
                             columns = call.node.Ints("ngram_indexes");
  Grams grams;
  size_t number = 0;
  for (size_t n = 1; n <= counts.size(); ++n) {
    const int64_t begin = counts[n - 1],
                  end = n < counts.size() ? counts[n] : static_cast<int64_t>(pool.size());
    if (begin < 0 || end < begin || end > static_cast<int64_t>(pool.size()))
      call.Fail("ngram_counts do not lie in the pool");
    for (auto at = static_cast<size_t>(begin); at + n <= static_cast<size_t>(end); at += n, ++number) {
      if (number >= columns.size()) call.Fail("ngram_indexes is shorter than the pool");
      if (n < least || n > most) continue;
      const auto first = pool.begin() + static_cast<ptrdiff_t>(at);
      grams.emplace(std::vector<int64_t>(first, first + static_cast<ptrdiff_t>(n)), columns[number]);
    }
  }
  return grams;
}

struct Lengths {
  int64_t least, most, skips;
};

// Counts of one row; neighbours of a gram stand 1 to skips + 1 places apart. Single tokens count once.
void Count(const Grams& grams, const Lengths& lengths, std::span<const int64_t> row,
           std::span<double> counts) {
  const auto size = static_cast<int64_t>(row.size());
  for (int64_t step = 1; step <= lengths.skips + 1; ++step) {
    for (int64_t n = lengths.least; n <= lengths.most; ++n) {
      if (n == 1 && step > 1) continue;
      for (int64_t begin = 0; begin + (n - 1) * step < size; ++begin) {
        std::vector<int64_t> gram;
        for (int64_t i = 0; i < n; ++i) gram.push_back(row[static_cast<size_t>(begin + i * step)]);
        if (const auto found = grams.find(gram); found != grams.end())
          counts[static_cast<size_t>(found->second)] += 1;
      }
    }
  }
}

Results TfIdfVectorizer(const Call& call) {
  const Shape& in = call.In(0).shape();
  if (in.size() > 2) call.Fail(fmt::format("the input {} is no row or matrix", ShapeText(in)));
  const Lengths lengths{call.node.Int("min_gram_length", 0), call.node.Int("max_gram_length", 0),
                        call.node.Int("max_skip_count", 0)};
  if (lengths.least < 1 || lengths.most < lengths.least || lengths.skips < 0)
    call.Fail("the lengths of grams");
  const std::string mode = call.node.Text("mode", "");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF")
    call.Fail(fmt::format("mode \"{}\"", Printable(mode)));
  const std::vector<int64_t> columns = call.node.Ints("ngram_indexes");
  if (columns.empty() || *std::min_element(columns.begin(), columns.end()) < 0) call.Fail("ngram_indexes");
  const int64_t width = *std::max_element(columns.begin(), columns.end()) + 1;
  std::vector<float> weights;
  if (const auto found = call.node.attributes.find("weights"); found != call.node.attributes.end())
    if (const auto* floats = std::get_if<std::vector<float>>(&found->second)) weights = *floats;
  if (!weights.empty() && static_cast<int64_t>(weights.size()) < width)
    call.Fail("weights are not one a column");
  const Grams grams = ReadPool(call, static_cast<size_t>(lengths.least), static_cast<size_t>(lengths.most));
  const std::vector<int64_t> tokens = call.Ints(0);
  const int64_t rows = in.size() == 2 ? in[0] : 1, length = in.empty() ? 1 : in.back();
  const Tensor y = NewDoubles(in.size() == 2 ? Shape{rows, width} : Shape{width});
  std::ranges::fill(y.As<double>(), 0.0);
  for (int64_t r = 0; r < rows; ++r) {
    const auto counts = y.As<double>().subspan(static_cast<size_t>(r * width), static_cast<size_t>(width));
    Count(grams, lengths,
          std::span(tokens).subspan(static_cast<size_t>(r * length), static_cast<size_t>(length)), counts);
    for (size_t i = 0; i < counts.size(); ++i) {
      if (mode == "IDF") counts[i] = counts[i] > 0 ? 1 : 0;
      if (mode != "TF" && !weights.empty()) counts[i] *= static_cast<double>(weights[i]);
    }
  }
  return {y.Cast(DType::kF32)};
}

constexpr Operator kOperators[] = {{"TfIdfVectorizer", 9, TfIdfVectorizer}};

}  // namespace

std::span<const Operator> TfIdfOperators() { return kOperators; }

}  // namespace strop::model::reference
