#include "strop/feed/group_share.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace strop::feed {

std::vector<GroupShare> ShareOut(const OrderOptions& options) {
  std::vector<Group> groups = options.groups;
  if (groups.empty()) groups = {{0, static_cast<int64_t>(options.chunk_rows.size()), 0}};
  std::vector<GroupShare> shares;
  double weights = 0;
  int64_t total = 0;
  for (const Group& group : groups) {
    const auto begin = options.chunk_rows.begin() + group.first_chunk;
    const int64_t rows = std::accumulate(begin, begin + group.chunks, int64_t{0});
    shares.push_back({group, rows, rows});
    weights += group.weight;
    total += rows;
  }
  if (weights <= 0) return shares;
  int64_t left = total;
  std::vector<std::pair<double, size_t>> rests;
  for (size_t g = 0; g < groups.size(); ++g) {
    const double exact = static_cast<double>(total) * groups[g].weight / weights;
    shares[g].quota = static_cast<int64_t>(exact);
    left -= shares[g].quota;
    rests.emplace_back(static_cast<double>(shares[g].quota) - exact, g);
  }
  std::sort(rests.begin(), rests.end());
  for (size_t i = 0; left > 0; i = (i + 1) % rests.size(), --left) ++shares[rests[i].second].quota;
  return shares;
}

PassPlace BeginOf(const GroupShare& share, uint64_t epoch) noexcept {
  if (share.rows == 0) return {};
  // Whole passes and what is beyond them apart, or epoch * quota would overflow some day.
  const auto a_pass = static_cast<uint64_t>(share.rows), an_epoch = static_cast<uint64_t>(share.quota);
  const uint64_t beyond = epoch % a_pass * (an_epoch % a_pass);
  return {epoch / a_pass * (an_epoch % a_pass) + epoch * (an_epoch / a_pass) + beyond / a_pass,
          static_cast<int64_t>(beyond % a_pass)};
}

}  // namespace strop::feed
