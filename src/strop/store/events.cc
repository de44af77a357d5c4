#include "strop/store/database.h"

namespace strop::store {

void Database::Log(std::string_view room, std::string_view event, std::string_view detail_json) {
  Run("INSERT INTO events(time, room, event, detail) VALUES (?, ?, ?, ?)",
      {UnixTime(), std::string(room), std::string(event), std::string(detail_json)});
}

std::vector<Event> Database::Events(int64_t after, int64_t limit, std::string_view room) {
  std::vector<Event> events;
  const auto add = [&](const Row& row) {
    events.push_back({row.Int(0), row.Real(1), row.Text(2), row.Text(3), row.Text(4)});
  };
  if (room.empty()) {
    Query("SELECT id, time, room, event, detail FROM events WHERE id > ? ORDER BY id LIMIT ?", {after, limit},
          add);
  } else {
    Query("SELECT id, time, room, event, detail FROM events WHERE room = ? AND id > ? ORDER BY id LIMIT ?",
          {std::string(room), after, limit}, add);
  }
  return events;
}

}  // namespace strop::store
