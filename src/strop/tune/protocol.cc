#include "strop/tune/protocol.h"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/tune/json.h"

namespace strop::tune {
namespace {

using nlohmann::json;

template <class Read>
auto Parse(const std::string& text, Read read) {
  try {
    return read(json::parse(text));
  } catch (const json::exception& e) {
    throw Error(Code::kInvalidArgument,
                fmt::format("trial protocol: \"{}\" is not a message: {}", text.substr(0, 200), e.what()));
  }
}

[[noreturn]] void UnknownType(const std::string& type, const char* expected) {
  throw Error(Code::kInvalidArgument,
              fmt::format("trial protocol: message of type \"{}\": expected {}", type, expected));
}

std::string TextOr(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? "" : found->get<std::string>();
}

json OrNull(const std::string& text) { return text.empty() ? json() : json(text); }

}  // namespace

std::string StartMessage::ToText() const {
  return json{{"type", "start"},
              {"version", kProtocolVersion},
              {"trial", trial},
              {"params", ToJson(params)},
              {"seed", seed},
              {"budget", budget},
              {"deadline", deadline > 0 ? json(deadline) : json()},
              {"metric", metric},
              {"data", {{"train", OrNull(train)}, {"validation", OrNull(validation)}}},
              {"from", OrNull(from)},
              {"out_dir", out_dir}}
      .dump();
}

StartMessage StartMessage::FromText(const std::string& text) {
  return Parse(text, [](const json& object) {
    if (object.at("type") != "start") UnknownType(object["type"].dump(), "start");
    if (const int version = object.at("version"); version > kProtocolVersion)
      throw Error(Code::kUnsupported, fmt::format("trial protocol version {}: this trainer's Strop speaks {}",
                                                  version, kProtocolVersion));
    StartMessage start;
    start.trial = object.at("trial");
    start.params = ParamsFromJson(object.at("params"));
    start.seed = object.at("seed");
    start.budget = object.at("budget");
    if (const auto found = object.find("deadline"); found != object.end() && !found->is_null())
      start.deadline = *found;
    start.metric = object.value("metric", "value");
    start.train = TextOr(object.at("data"), "train");
    start.validation = TextOr(object.at("data"), "validation");
    start.from = TextOr(object, "from");
    start.out_dir = object.at("out_dir");
    return start;
  });
}

std::string TrainerMessage::ToText() const {
  json object = {{"type", done ? "done" : "report"}, {"metrics", json::object()}};
  if (!done) object["step"] = step;
  for (const auto& [name, value] : metrics)
    object["metrics"][name] = std::isfinite(value) ? json(value) : json();
  if (!model.empty()) object["model"] = model;
  if (!checkpoint.empty()) object["checkpoint"] = checkpoint;
  return object.dump();
}

TrainerMessage TrainerMessage::FromText(const std::string& text) {
  return Parse(text, [](const json& object) {
    TrainerMessage message;
    const std::string type = object.at("type");
    if (type != "report" && type != "done") UnknownType(type, "report or done");
    message.done = type == "done";
    if (!message.done) message.step = object.at("step");
    if (const auto metrics = object.find("metrics"); metrics != object.end() && !metrics->is_null())
      for (const auto& [name, value] : metrics->items())
        message.metrics[name] = value.is_null() ? std::nan("") : value.get<double>();
    message.model = TextOr(object, "model");
    message.checkpoint = TextOr(object, "checkpoint");
    return message;
  });
}

std::string AnswerMessage::ToText() const {
  json object = {{"type", stop ? "stop" : "continue"}};
  if (!reason.empty()) object["reason"] = reason;
  return object.dump();
}

AnswerMessage AnswerMessage::FromText(const std::string& text) {
  return Parse(text, [](const json& object) {
    const std::string type = object.at("type");
    if (type == "error") throw Error(Code::kInvalidArgument, TextOr(object, "message"));
    if (type != "continue" && type != "stop") UnknownType(type, "continue or stop");
    return AnswerMessage{type == "stop", TextOr(object, "reason")};
  });
}

}  // namespace strop::tune
