#include "strop/engine/plan.h"

#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/log.h"

namespace strop::engine {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;

json ToJsonList(const std::vector<LayerPlan::Candidate>& candidates) {
  json list = json::array();
  for (const LayerPlan::Candidate& candidate : candidates) {
    list.push_back({{"kernel", candidate.kernel}, {"seconds", candidate.seconds}});
  }
  return list;
}

std::vector<LayerPlan::Candidate> FromJsonList(const json& list) {
  std::vector<LayerPlan::Candidate> candidates;
  for (const json& item : list) candidates.push_back({item.at("kernel"), item.at("seconds")});
  return candidates;
}

}  // namespace

PlanKey PlanKey::Here(const std::string& model_hash, int threads) {
  return {model_hash, CpuModel(), std::string(IsaName(HighestIsa(Cpu()))), threads};
}

std::optional<Isa> SavedPlan::IsaOf(const std::string& layer) const {
  for (const LayerPlan& plan : layers) {
    if (plan.layer == layer) return ParseIsa(plan.isa);
  }
  return std::nullopt;
}

std::string_view SavedPlan::FamilyOf(const std::string& layer,
                                     const std::vector<std::string>& families) const {
  for (const LayerPlan& plan : layers) {
    if (plan.layer != layer) continue;
    for (const std::string& family : families)
      if (plan.kernel.starts_with(family)) return family;
  }
  return {};
}

std::string SavedPlan::ToJson() const {
  json list = json::array();
  for (const LayerPlan& layer : layers) {
    list.push_back({{"layer", layer.layer},
                    {"op", layer.op},
                    {"kernel", layer.kernel},
                    {"isa", layer.isa},
                    {"bits", layer.bits},
                    {"sparsity", layer.sparsity},
                    {"candidates", ToJsonList(layer.candidates)}});
  }
  const json whole = {{"format", kFormat},      {"model", key.model},
                      {"cpu", key.cpu},         {"isa", key.isa},
                      {"threads", key.threads}, {"batch", batch},
                      {"candidate", candidate}, {"candidates", ToJsonList(candidates)},
                      {"layers", list}};
  return whole.dump(2) + "\n";
}

SavedPlan SavedPlan::FromJson(const std::string& text, const std::string& where) {
  try {
    const json whole = json::parse(text);
    if (whole.at("format") != kFormat) {
      throw Error(Code::kCorrupt, fmt::format("{} has plan format {}; this version reads {}", where,
                                              whole.at("format").dump(), kFormat));
    }
    SavedPlan plan;
    plan.key = {whole.at("model"), whole.at("cpu"), whole.at("isa"), whole.at("threads")};
    plan.batch = whole.at("batch");
    plan.candidate = whole.at("candidate");
    plan.candidates = FromJsonList(whole.at("candidates"));
    for (const json& item : whole.at("layers")) {
      ParseIsa(item.at("isa").get<std::string>());
      plan.layers.push_back({item.at("layer"), item.at("op"), item.at("kernel"), item.at("isa"),
                             item.at("bits"), item.at("sparsity"), FromJsonList(item.at("candidates"))});
    }
    return plan;
  } catch (const json::exception& error) {
    throw Error(Code::kCorrupt, fmt::format("{} is not a plan: {}", where, error.what()));
  }
}

std::filesystem::path PlanPath(const std::filesystem::path& model) { return model.string() + ".plan.json"; }

void SavePlan(const SavedPlan& plan, const std::filesystem::path& path) {
  WriteFileAtomically(path, plan.ToJson());
}

std::optional<SavedPlan> LoadPlan(const std::filesystem::path& path, const PlanKey& key) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  try {
    SavedPlan plan = SavedPlan::FromJson(ReadFile(path), path.string());
    if (plan.key == key) return plan;
    Log("engine").info(
        "{} was timed for another model, processor, instruction set or number of threads: ignored",
        path.string());
  } catch (const Error& error) {
    Log("engine").warn("{}: ignored", error.what());
  }
  return std::nullopt;
}

void TuneOptions::Validate() const {
  if (threads < 0)
    throw Error(Code::kInvalidArgument, fmt::format("threads = {}: expected 0 (every CPU) or more", threads));
  if (batch < 1) throw Error(Code::kInvalidArgument, fmt::format("batch = {}: expected 1 or more", batch));
  if (!(seconds > 0))
    throw Error(Code::kInvalidArgument, fmt::format("seconds = {}: expected more than 0", seconds));
}

}  // namespace strop::engine
