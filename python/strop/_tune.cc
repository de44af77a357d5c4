// Python's view of a study. Python threads may share one: every call that may wait gives up the GIL.

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include "bind.h"
#include "strop/tune/study.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace strop::tune {
namespace {

using TrialTuple = std::tuple<int64_t, std::string, Params, std::vector<double>, std::vector<double>,
                              std::string, std::string, std::string, int64_t, double, double>;

TrialTuple ToTuple(const TrialRecord& trial) {
  return {trial.number,     std::string(TrialStateName(trial.state)),
          trial.params,     trial.values,
          trial.violations, trial.error,
          trial.sampler,    trial.reason,
          trial.attempts,   trial.started,
          trial.finished};
}

std::vector<TrialTuple> ToTuples(const std::vector<TrialRecord>& trials) {
  std::vector<TrialTuple> tuples;
  for (const TrialRecord& trial : trials) tuples.push_back(ToTuple(trial));
  return tuples;
}

TrialTuple Ask(Study& study) {
  try {
    nb::gil_scoped_release release;
    return ToTuple(*study.Ask());
  } catch (const Exhausted& error) {
    const nb::object type = nb::module_::import_("strop.tune.study").attr("Exhausted");
    PyErr_SetString(type.ptr(), error.what());
    throw nb::python_error();
  }
}

}  // namespace
}  // namespace strop::tune

NB_MODULE(_tune, m) {
  using namespace strop::tune;
  using Release = nb::call_guard<nb::gil_scoped_release>;
  strop::bind::RegisterErrors(m);

  nb::class_<Parameter>(m, "Parameter")
      .def_static(
          "float",
          [](std::string name, double low, double high, bool log, double step, Params when) {
            return Parameter{std::move(name), strop::FloatRange{low, high, log, step}, std::move(when)};
          })
      .def_static("int",
                  [](std::string name, int64_t low, int64_t high, bool log, int64_t step, Params when) {
                    return Parameter{std::move(name), strop::IntRange{low, high, log, step}, std::move(when)};
                  })
      .def_static("choice", [](std::string name, std::vector<ParamValue> values, Params when) {
        return Parameter{std::move(name), strop::ChoiceList{std::move(values)}, std::move(when)};
      });

  nb::class_<Space>(m, "Space")
      .def(nb::init<std::vector<Parameter>, std::vector<std::string>>())
      .def("check", &Space::Check)
      .def("__eq__", [](const Space& a, const Space& b) { return a == b; });

  nb::class_<Study>(m, "Study")
      .def("__init__",
           [](Study* self, std::string storage, std::string name, Space space,
              std::vector<std::string> directions, std::string sampler, uint64_t seed, bool load_if_exists,
              bool must_exist) {
             nb::gil_scoped_release release;
             new (self) Study({std::move(storage), std::move(name), std::move(space), std::move(directions),
                               std::move(sampler), seed, load_if_exists, must_exist});
           })
      .def("ask", &Ask)
      .def("suggest", &Study::Suggest, Release())
      .def(
          "report",
          [](Study& study, int64_t trial, int64_t step, double value) { study.Report(trial, step, value); },
          Release())
      .def(
          "tell",
          [](Study& study, int64_t trial, const std::vector<double>& values,
             const std::vector<double>& violations) { study.Tell(trial, values, violations); },
          Release())
      .def("tell_failed", &Study::TellFailed, Release())
      .def("tell_pruned", &Study::TellPruned, "trial"_a, "value"_a.none(), Release())
      .def("release", &Study::Release, Release())
      .def(
          "trials", [](Study& study) { return ToTuples(study.Trials()); }, Release())
      .def(
          "pareto_front", [](Study& study) { return ToTuples(study.ParetoFront()); }, Release())
      .def(
          "reports",
          [](Study& study, int64_t trial) {
            std::vector<std::pair<int64_t, double>> reports;
            for (const ReportRecord& report : study.Reports(trial))
              reports.emplace_back(report.step, report.value);
            return reports;
          },
          Release())
      .def(
          "best",
          [](Study& study) -> std::optional<TrialTuple> {
            const auto best = study.Best();
            return best ? std::optional(ToTuple(*best)) : std::nullopt;
          },
          Release())
      .def_prop_ro("name", &Study::name)
      .def_prop_ro("directions", &Study::directions)
      .def_prop_ro("seed", &Study::seed);
}
