// Python's view of a study. Python threads may share one: every call that may wait gives up the GIL.

#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include "bind.h"
#include "strop/base/file.h"
#include "strop/tune/gp/gp_sampler.h"
#include "strop/tune/importance.h"
#include "strop/tune/report.h"
#include "strop/tune/study.h"
#include "strop/tune/trials_csv.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace strop::tune {
namespace {

using TrialTuple =
    std::tuple<int64_t, std::string, Params, std::vector<double>, std::map<std::string, double>, std::string,
               std::string, std::string, int64_t, double, double>;

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

// What `ask` answers, without the GIL; Exhausted is raised as Python's.
template <class Ask>
auto Asked(Ask ask) {
  try {
    nb::gil_scoped_release release;
    return ask();
  } catch (const Exhausted& error) {
    const nb::object type = nb::module_::import_("strop.tune.study").attr("Exhausted");
    PyErr_SetString(type.ptr(), error.what());
    throw nb::python_error();
  }
}

// number, params, losses, violations, state
using TrialOfSampler = std::tuple<int64_t, Params, std::vector<double>, std::vector<double>, std::string>;

std::vector<Observation> ToObservations(const Space& space, const std::vector<TrialOfSampler>& trials) {
  std::vector<Observation> observations;
  for (const auto& [number, params, losses, violations, state] : trials) {
    Observation& observation = observations.emplace_back(Observation::Of(space, number, params, losses));
    observation.violations = violations;
    observation.state = state;
  }
  return observations;
}

std::tuple<Params, std::string, std::string, std::string> AskSampler(
    const Sampler& sampler, const Space& space, const std::vector<TrialOfSampler>& finished,
    const std::vector<TrialOfSampler>& pending, uint64_t seed, int64_t trial, size_t objectives,
    double trial_seconds) {
  return Asked([&]() -> std::tuple<Params, std::string, std::string, std::string> {
    const std::vector<Observation> ended = ToObservations(space, finished);
    const std::vector<Observation> running = ToObservations(space, pending);
    Suggestion made = sampler.Ask({space, ended, running, seed, trial, objectives, trial_seconds});
    return {std::move(made.params), std::move(made.sampler), std::move(made.reason), std::move(made.state)};
  });
}

std::shared_ptr<const Sampler> MakeGpSampler(const std::string& acquisition) {
  for (const auto& [name, gain] :
       {std::pair("log_ei", gp::Gain::kLogEi), std::pair("noisy_log_ei", gp::Gain::kNoisyLogEi),
        std::pair("ucb", gp::Gain::kConfidenceBound)})
    if (acquisition == name) return std::make_shared<gp::GpSampler>(gain);
  throw Error(Code::kInvalidArgument,
              "acquisition \"" + acquisition + "\": expected log_ei, noisy_log_ei or ucb");
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

  nb::class_<Sampler>(m, "Sampler")
      .def_static("named",
                  [](const std::string& name) -> std::shared_ptr<const Sampler> { return MakeSampler(name); })
      .def_static("gp", &MakeGpSampler)
      .def("ask", &AskSampler, "space"_a, "finished"_a, "pending"_a, "seed"_a, "trial"_a, "objectives"_a = 1,
           "trial_seconds"_a = 0.0);

  nb::class_<Study>(m, "Study")
      .def("__init__",
           [](Study* self, std::string storage, std::string name, Space space,
              std::vector<std::string> directions, std::shared_ptr<const Sampler> sampler, uint64_t seed,
              bool load_if_exists, bool must_exist) {
             nb::gil_scoped_release release;
             new (self) Study({std::move(storage), std::move(name), std::move(space), std::move(directions),
                               "", seed, load_if_exists, must_exist, std::move(sampler)});
           })
      .def("ask", [](Study& study) { return Asked([&] { return ToTuple(*study.Ask()); }); })
      .def("suggest", &Study::Suggest, Release())
      .def(
          "report",
          [](Study& study, int64_t trial, int64_t step, double value, const std::string& metrics) {
            study.Report(trial, step, value, metrics);
          },
          "trial"_a, "step"_a, "value"_a, "metrics"_a = "{}", Release())
      .def("set_constraint", &Study::SetConstraint, Release())
      .def(
          "tell",
          [](Study& study, int64_t trial, const std::vector<double>& values) { study.Tell(trial, values); },
          Release())
      .def("tell_failed", &Study::TellFailed, Release())
      .def("tell_pruned", &Study::TellPruned, "trial"_a, "value"_a.none(), Release())
      .def("release", &Study::Release, Release())
      .def("replay", &Study::Replay, Release())
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
          "reported_metrics",
          [](Study& study, int64_t trial) {
            std::vector<std::pair<int64_t, std::string>> metrics;
            for (ReportRecord& report : study.Reports(trial))
              metrics.emplace_back(report.step, std::move(report.metrics));
            return metrics;
          },
          Release())
      .def(
          "best",
          [](Study& study) -> std::optional<TrialTuple> {
            const auto best = study.Best();
            return best ? std::optional(ToTuple(*best)) : std::nullopt;
          },
          Release())
      .def(
          "importances",
          [](Study& study, size_t objective) {
            std::vector<std::pair<std::string, double>> shares;
            for (const Importance& importance : ParameterImportances(study, objective))
              shares.emplace_back(importance.parameter, importance.share);
            return shares;
          },
          Release())
      .def(
          "save_report",
          [](Study& study, const std::string& path) { strop::WriteFileAtomically(path, ReportHtml(study)); },
          Release())
      .def(
          "save_csv",
          [](Study& study, const std::string& path) { strop::WriteFileAtomically(path, TrialsCsv(study)); },
          Release())
      .def_prop_ro("name", &Study::name)
      .def_prop_ro("directions", &Study::directions)
      .def_prop_ro("seed", &Study::seed);
}
