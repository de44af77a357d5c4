#include "strop/loop/gate.h"

#include <algorithm>

#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/data/table.h"

namespace strop::loop {
namespace {

struct Predictions {
  Tensor scores;
  Tensor labels;
};

Predictions Read(const std::filesystem::path& file, const std::string& label) {
  const auto schema = data::ReadSchema(file.string());
  const auto fields = schema->field_names();
  const auto output =
      std::find_if(fields.begin(), fields.end(), [&](const auto& name) { return name != label; });
  if (output == fields.end()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} holds no predictions beside the column '{}'", file.string(), label));
  }
  TensorMap tensors = data::ReadTensors(file.string(), {*output, label});
  return {tensors.at(*output), tensors.at(label)};
}

bool SameBytes(const Tensor& a, const Tensor& b) {
  const auto* left = static_cast<const uint8_t*>(a.data());
  return a.bytes() == b.bytes() && std::equal(left, left + a.bytes(), static_cast<const uint8_t*>(b.data()));
}

}  // namespace

Decision Compare(const std::filesystem::path& champion, const std::filesystem::path& candidate,
                 const std::string& label, const std::string& metric, double guardrail) {
  const Predictions old_model = Read(champion, label);
  const Predictions new_model = Read(candidate, label);
  if (!SameBytes(old_model.labels, new_model.labels)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} and {} are not predictions of the same rows: their labels differ",
                            champion.string(), candidate.string()));
  }
  Decision decision;
  decision.result =
      data::QualityMetric::Make(metric)->Compare(old_model.scores, new_model.scores, old_model.labels);
  const data::PairedResult& result = decision.result;
  decision.promote = result.interval.low >= -guardrail;
  const std::string reason = fmt::format(
      "{} {:.4f} -> {:.4f} on {} rows, gain {:+.4f} [{:+.4f}, {:+.4f}]: the bad end {} the guardrail {:+.4f}",
      metric, result.baseline, result.candidate, result.rows, result.gain, result.interval.low,
      result.interval.high, decision.promote ? "meets" : "is below", 0.0 - guardrail);
  decision.evidence_json = nlohmann::json{
      {"metric", metric},
      {"champion", result.baseline},
      {"candidate", result.candidate},
      {"gain", result.gain},
      {"interval", {result.interval.low, result.interval.high}},
      {"rows", result.rows},
      {"guardrail", guardrail},
      {"decision", decision.promote ? "promoted" : "rejected"},
      {"reason", reason}}.dump();
  return decision;
}

}  // namespace strop::loop
