#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "bind.h"
#include "strop/watch/detector.h"
#include "strop/watch/select.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace strop {

NB_MODULE(_watch, m) {
  bind::RegisterErrors(m);

  nb::class_<watch::Verdict>(m, "Verdict")
      .def_ro("score", &watch::Verdict::score)
      .def_ro("threshold", &watch::Verdict::threshold)
      .def_ro("drift", &watch::Verdict::drift)
      .def_ro("evidence", &watch::Verdict::evidence)
      .def("to_json", &watch::Verdict::ToJson);

  nb::class_<watch::Detector>(m, "Detector")
      .def_prop_ro("name", [](const watch::Detector& detector) { return detector.name(); })
      .def("update", [](watch::Detector& detector, nb::handle rows) {
        const Tensor tensor = bind::FromArray(rows, "rows");
        const nb::gil_scoped_release release;
        return detector.Update(tensor);
      });

  m.def("mmd", [](const std::string& name, nb::handle reference, int64_t false_alarm_rows, int64_t window,
                  int64_t features, uint64_t seed) {
    const Tensor tensor = bind::FromArray(reference, "reference");
    const nb::gil_scoped_release release;
    return watch::MakeMmd(
        name, tensor,
        {.window = window, .false_alarm_rows = false_alarm_rows, .features = features, .seed = seed});
  });

  m.def("select", [](nb::handle scores, int64_t k, const std::string& strategy, uint64_t seed) {
    const Tensor tensor = bind::FromArray(scores, "probabilities");
    const nb::gil_scoped_release release;
    return watch::Select(tensor, k, strategy, seed);
  });

  m.def("uncertainty", [](nb::handle scores, const std::string& strategy) {
    const Tensor tensor = bind::FromArray(scores, "probabilities");
    const nb::gil_scoped_release release;
    return watch::Uncertainty(tensor, strategy);
  });
}

}  // namespace strop
