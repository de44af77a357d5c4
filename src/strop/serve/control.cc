#include "strop/serve/control.h"

#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/threads.h"

namespace strop::serve {
namespace {

using Json = nlohmann::json;

std::string Failure(Code code, std::string_view message) {
  return Json{{"error", CodeName(code)}, {"message", message}}.dump(-1, ' ', false,
                                                                    Json::error_handler_t::replace);
}

std::string Text(const Json& object, const char* command, const char* key, bool required) {
  const auto found = object.find(key);
  if (found == object.end() && !required) return "";
  if (found == object.end() || !found->is_string()) {
    throw Error(Code::kInvalidArgument, fmt::format("{} wants the text \"{}\"", command, key));
  }
  return found->get<std::string>();
}

}  // namespace

ControlServer::ControlServer(const std::filesystem::path& path, ControlActions actions)
    : listener_(path), actions_(std::move(actions)) {
  ::chmod(path.c_str(), 0600);
  thread_ = std::thread([this] { AcceptLoop(); });
}

ControlServer::~ControlServer() {
  stopping_ = true;
  listener_.Shutdown();
  thread_.join();
  for (const auto& peer : peers_) peer->socket.Shutdown();
  for (const auto& peer : peers_) peer->thread.join();
}

void ControlServer::AcceptLoop() {
  NameThread("strop-control");
  while (!stopping_) {
    auto accepted = listener_.Accept(std::chrono::milliseconds(500));
    peers_.remove_if([](const std::unique_ptr<Peer>& peer) {
      if (!peer->done) return false;
      peer->thread.join();
      return true;
    });
    if (!accepted || stopping_) continue;
    auto peer = std::make_unique<Peer>();
    peer->socket = std::move(*accepted);
    peer->thread = std::thread([this, raw = peer.get()] { Serve(raw); });
    peers_.push_back(std::move(peer));
  }
}

void ControlServer::Serve(Peer* peer) {
  NameThread("strop-control");
  try {
    while (!stopping_) {
      const auto line = peer->socket.ReadLine();
      if (!line) break;
      peer->socket.WriteLine(Answer(*line));
    }
  } catch (const std::exception&) {
    // The peer is gone or sends no lines; there is nobody to tell.
  }
  peer->socket.Shutdown();
  peer->done = true;
}

std::string ControlServer::Answer(const std::string& line) const {
  try {
    Json asked;
    try {
      asked = Json::parse(line);
    } catch (const Json::exception&) {
      return Failure(Code::kInvalidArgument, "the line is not JSON");
    }
    if (!asked.is_object() || asked.size() != 1 || !asked.front().is_object()) {
      return Failure(
          Code::kInvalidArgument,
          "expected one of {\"load\": {\"name\", \"path\"}}, {\"unload\": {\"name\"}}, {\"status\": {}}, "
          "{\"shutdown\": {}}");
    }
    const std::string command = asked.begin().key();
    const Json& detail = asked.front();
    if (command == "load") {
      const int64_t version =
          actions_.load(Text(detail, "load", "name", true), Text(detail, "load", "path", true),
                        Text(detail, "load", "reference", false));
      return Json{{"ok", true}, {"version", version}}.dump();
    }
    if (command == "unload") {
      actions_.unload(Text(detail, "unload", "name", true));
      return Json{{"ok", true}}.dump();
    }
    if (command == "status") {
      Json answer = Json::parse(actions_.status());
      answer["ok"] = true;
      return answer.dump();
    }
    if (command == "shutdown") {
      actions_.shutdown();
      return Json{{"ok", true}}.dump();
    }
    return Failure(Code::kInvalidArgument,
                   fmt::format("\"{}\" is not one of load, unload, status, shutdown", command.substr(0, 80)));
  } catch (const Error& failure) {
    return Failure(failure.code(), failure.what());
  } catch (const std::exception& failure) {
    return Failure(Code::kInternal, failure.what());
  }
}

}  // namespace strop::serve
