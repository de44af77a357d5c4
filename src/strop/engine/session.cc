#include "strop/engine/session.h"

#include <malloc.h>

#include <algorithm>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/engine/border.h"
#include "strop/engine/graph_session.h"

namespace strop::engine {

void SessionOptions::Validate() const {
  if (threads < 0) {
    throw Error(Code::kInvalidArgument,
                fmt::format("threads = {}: expected 0 (every usable CPU) or more", threads));
  }
  if (!prefer.empty() && prefer != "openvino" && prefer != "strop" && prefer != "reference") {
    throw Error(Code::kInvalidArgument,
                fmt::format("prefer = \"{}\": expected openvino, strop, reference, or nothing for the plan's",
                            prefer));
  }
}

Session::~Session() = default;

std::unique_ptr<Session> Session::Load(const std::filesystem::path& model, const SessionOptions& options) {
  options.Validate();
  const std::filesystem::path plan = options.plan.empty() ? PlanPath(model) : options.plan;
  return AtBorder("loading " + model.string(), [&]() -> std::unique_ptr<Session> {
    std::string hash = HashHex(ReadFile(model));
    auto session = std::make_unique<GraphSession>(model::Graph::Load(model), std::move(hash), options, plan);
    malloc_trim(
        0);  // the file's bytes, and weights as they were before they were packed, go back to the system
    return session;
  });
}

std::unique_ptr<Session> Session::Make(model::Graph graph, const SessionOptions& options) {
  options.Validate();
  return AtBorder("the model", [&]() -> std::unique_ptr<Session> {
    const std::string hash = HashHex(graph.Serialize());
    return std::make_unique<GraphSession>(std::move(graph), hash, options, options.plan);
  });
}

}  // namespace strop::engine
