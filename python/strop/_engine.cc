#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "bind.h"
#include "strop/engine/plan.h"
#include "strop/engine/session.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace strop {
namespace {

nb::list Describe(const std::vector<model::ValueInfo>& values) {
  const nb::object make = nb::module_::import_("strop.engine").attr("Value");
  nb::list list;
  for (const model::ValueInfo& value : values) {
    nb::list shape;
    for (size_t i = 0; i < value.shape.size(); ++i) {
      const bool named = i < value.dim_names.size() && !value.dim_names[i].empty();
      if (value.shape[i] >= 0) {
        shape.append(value.shape[i]);
      } else if (named) {
        shape.append(value.dim_names[i]);
      } else {
        shape.append(nb::none());
      }
    }
    list.append(make(value.name, nb::tuple(shape), std::string(DTypeName(value.dtype))));
  }
  return list;
}

nb::list Plan(const std::vector<engine::LayerPlan>& layers) {
  nb::list list;
  for (const engine::LayerPlan& layer : layers) {
    nb::dict candidates;
    for (const auto& candidate : layer.candidates) {
      candidates[candidate.kernel.c_str()] =
          candidate.seconds < 0 ? nb::object(nb::none()) : nb::cast(candidate.seconds);
    }
    nb::dict row;
    row["layer"] = layer.layer;
    row["op"] = layer.op;
    row["kernel"] = layer.kernel;
    row["isa"] = layer.isa;
    row["bits"] = layer.bits;
    row["sparsity"] = layer.sparsity;
    row["candidates"] = candidates;
    list.append(row);
  }
  return list;
}

nb::list Profile(const std::vector<engine::LayerProfile>& layers) {
  nb::list list;
  for (const engine::LayerProfile& layer : layers) {
    nb::dict row;
    row["layer"] = layer.layer;
    row["op"] = layer.op;
    row["kernel"] = layer.kernel;
    row["calls"] = layer.calls;
    row["seconds"] = layer.seconds;
    list.append(row);
  }
  return list;
}

}  // namespace
}  // namespace strop

NB_MODULE(_engine, module) {
  using namespace strop;
  bind::RegisterErrors(module);
  nb::class_<engine::Session>(module, "Session")
      .def_static(
          "load",
          [](const std::filesystem::path& path, int threads, std::vector<std::string> taps,
             const std::filesystem::path& plan, const std::string& prefer, bool profile_layers) {
            const nb::gil_scoped_release release;
            engine::SessionOptions options;
            options.threads = threads;
            options.taps = std::move(taps);
            options.plan = plan;
            options.prefer = prefer;
            options.profile_layers = profile_layers;
            return engine::Session::Load(path, options);
          },
          "path"_a, "threads"_a, "taps"_a, "plan"_a, "prefer"_a, "profile_layers"_a)
      .def_prop_ro("inputs", [](const engine::Session& session) { return Describe(session.inputs()); })
      .def_prop_ro("outputs", [](const engine::Session& session) { return Describe(session.outputs()); })
      .def_prop_ro("model_hash", [](const engine::Session& session) { return session.model_hash(); })
      .def(
          "run",
          [](engine::Session& session, const nb::dict& inputs, const std::vector<std::string>& wanted) {
            TensorMap tensors = bind::FromArrays(inputs);
            TensorMap answers;
            {
              const nb::gil_scoped_release release;
              answers = session.Run(tensors, wanted);
            }
            return bind::ToNumpy(answers);
          },
          "inputs"_a, "outputs"_a)
      .def("plan", [](const engine::Session& session) { return Plan(session.plan()); })
      .def("profile", [](const engine::Session& session) { return Profile(session.profile()); });

  module.def(
      "tune",
      [](const std::filesystem::path& path, int threads, int64_t batch, double seconds) {
        std::string json;
        {
          const nb::gil_scoped_release release;
          engine::TuneOptions options;
          options.threads = threads;
          options.batch = batch;
          options.seconds = seconds;
          json = engine::TunePlan(path, options).ToJson();
        }
        return json;
      },
      "path"_a, "threads"_a, "batch"_a, "seconds"_a);
}
