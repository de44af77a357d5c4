// What tests/test_base.py needs to try bind.h by itself; not in the wheel.

#include "bind.h"

namespace nb = nanobind;

NB_MODULE(_bind_test, module) {
  strop::bind::RegisterErrors(module);
  module.def(
      "raise_error",
      [](int code, const std::string& message) {
        throw strop::Error(static_cast<strop::Code>(code), message);
      },
      nb::arg("code"), nb::arg("message"));
  module.def("through_numpy",
             [](nb::handle array) { return strop::bind::ToNumpy(strop::bind::FromArray(array, "x")); });
  module.def("through_dlpack",
             [](nb::handle array) { return strop::bind::ToDlpack(strop::bind::FromArray(array, "x")); });
  module.def("through_dict",
             [](const nb::dict& arrays) { return strop::bind::ToNumpy(strop::bind::FromArrays(arrays)); });
  module.def("fresh", [] {
    const float values[] = {1, 2, 3, 4, 5, 6};
    return strop::bind::ToDlpack(strop::Tensor::From<float>({2, 3}, std::span<const float>(values)));
  });
}
