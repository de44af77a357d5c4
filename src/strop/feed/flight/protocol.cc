#include "strop/feed/flight/protocol.h"

#include <array>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/data/table.h"

namespace strop::feed::flight {
namespace {

constexpr std::array<std::pair<std::string_view, Uneven>, 3> kUneven = {
    {{"repeat", Uneven::kRepeat}, {"ragged", Uneven::kRagged}, {"drop", Uneven::kDrop}}};

LoaderOptions ParseOrder(const nlohmann::json& order, uint64_t* epoch) {
  LoaderOptions options;
  *epoch = order.value("epoch", uint64_t{0});
  options.seed = order.value("seed", options.seed);
  options.shuffle = order.value("shuffle", options.shuffle);
  options.window = order.value("window", options.window);
  options.batch_size = order.value("batch_size", options.batch_size);
  options.rank = order.value("rank", options.rank);
  options.world_size = order.value("world_size", options.world_size);
  options.drop_last = order.value("drop_last", options.drop_last);
  const std::string uneven = order.value("uneven", std::string("repeat"));
  for (const auto& [name, value] : kUneven) {
    if (name == uneven) {
      options.uneven = value;
      return options;
    }
  }
  throw Error(Code::kInvalidArgument,
              fmt::format("uneven is \"{}\": expected repeat, ragged or drop", uneven));
}

}  // namespace

std::string TicketContent::ToJson() const {
  nlohmann::json json = {{"source", source}};
  if (!columns.empty()) json["columns"] = columns;
  if (chunk) json["chunk"] = *chunk;
  return json.dump();
}

TicketContent TicketContent::FromJson(const std::string& json) {
  TicketContent ticket;
  try {
    const auto object = nlohmann::json::parse(json);
    ticket.source = object.at("source").get<std::string>();
    if (object.contains("columns")) ticket.columns = object["columns"].get<std::vector<std::string>>();
    if (object.contains("chunk")) ticket.chunk = object["chunk"].get<int64_t>();
    if (object.contains("order")) ticket.order = ParseOrder(object["order"], &ticket.epoch);
  } catch (const nlohmann::json::exception&) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("the ticket \"{}\" is not understood: expected JSON such as {{\"source\": \"train\", "
                    "\"chunk\": 0}}",
                    json.substr(0, 80)));
  }
  return ticket;
}

std::string LayoutJson(const std::vector<int64_t>& chunk_rows) {
  return nlohmann::json{{"version", 1}, {"chunk_rows", chunk_rows}}.dump();
}

std::vector<int64_t> ParseLayout(const std::string& json, const std::string& where) {
  try {
    const auto object = nlohmann::json::parse(json);
    if (object.at("version") == 1) return object.at("chunk_rows").get<std::vector<int64_t>>();
  } catch (const nlohmann::json::exception&) {
    // Another kind of service.
  }
  throw Error(Code::kUnsupported,
              fmt::format("{} does not say how its rows are laid out: serve it by strop feed serve", where));
}

arrow::Status ToStatus(const Error& error) {
  using arrow::flight::FlightStatusCode;
  using arrow::flight::MakeFlightError;
  // The code is the first word: Flight has fewer codes than we have.
  const std::string message = fmt::format("{}: {}", CodeName(error.code()), error.what());
  switch (error.code()) {
    case Code::kUnavailable:
      return MakeFlightError(FlightStatusCode::Unavailable, message);
    case Code::kTimeout:
      return MakeFlightError(FlightStatusCode::TimedOut, message);
    case Code::kCancelled:
      return MakeFlightError(FlightStatusCode::Cancelled, message);
    case Code::kNotFound:
      return arrow::Status::KeyError(message);
    case Code::kInvalidArgument:
      return arrow::Status::Invalid(message);
    case Code::kUnsupported:
      return arrow::Status::NotImplemented(message);
    default:
      return arrow::Status::IOError(message);
  }
}

void CheckFlight(const arrow::Status& status, const std::string& what) {
  if (status.ok()) return;
  std::string message = status.message();
  if (const size_t end = message.find('\n'); end != std::string::npos) message.resize(end);
  for (int i = 0; i <= static_cast<int>(Code::kInternal); ++i) {
    const auto code = static_cast<Code>(i);
    const std::string prefix = fmt::format("{}: ", CodeName(code));
    if (const size_t at = message.find(prefix); at == 0) {
      message = message.substr(prefix.size());
      // The transport adds its own words behind ours.
      if (const size_t end = message.find(". gRPC client debug context"); end != std::string::npos)
        message.resize(end);
      throw Error(code, fmt::format("{}: {}", what, message));
    }
  }
  // We never cancel: a service that stops cancels what it was sending.
  if (status.IsCancelled()) throw Error(Code::kUnavailable, fmt::format("{}: the service ended", what));
  if (const auto detail = arrow::flight::FlightStatusDetail::UnwrapStatus(status)) {
    if (detail->code() == arrow::flight::FlightStatusCode::Cancelled) {
      throw Error(Code::kUnavailable, fmt::format("{}: the service ended", what));
    }
    if (detail->code() == arrow::flight::FlightStatusCode::Unavailable) {
      throw Error(Code::kUnavailable, fmt::format("{}: no service answers there: {}", what, message));
    }
    if (detail->code() == arrow::flight::FlightStatusCode::TimedOut) {
      throw Error(Code::kTimeout, fmt::format("{}: no answer in time", what));
    }
  }
  data::Check(status, what);
}

}  // namespace strop::feed::flight
