# Where everything that Strop stands on is found: Debian's packages, and the wheels of the Python that builds.
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
find_package(Threads REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Eigen3 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(Protobuf REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(muparser REQUIRED IMPORTED_TARGET muparser)
pkg_check_modules(libpq REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(libjpeg REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(spng REQUIRED IMPORTED_TARGET spng)
pkg_check_modules(hwloc REQUIRED IMPORTED_TARGET hwloc)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)

# One call of Python finds the wheels' folders without importing them (importing torch takes seconds).
execute_process(
  COMMAND "${Python_EXECUTABLE}" -c "
import importlib.util as u, os
print(';'.join(os.path.dirname(s.origin) if (s := u.find_spec(n)) else n + '-NOTFOUND'
               for n in ('pyarrow', 'openvino', 'onnx', 'torch', 'nanobind', 'plotly')), end='')"
  OUTPUT_VARIABLE strop_wheels COMMAND_ERROR_IS_FATAL ANY)
list(GET strop_wheels 0 STROP_PYARROW_DIR)
list(GET strop_wheels 1 STROP_OPENVINO_DIR)
list(GET strop_wheels 2 STROP_ONNX_DIR)
list(GET strop_wheels 3 STROP_TORCH_DIR)
list(GET strop_wheels 4 STROP_NANOBIND_DIR)
list(GET strop_wheels 5 STROP_PLOTLY_DIR)
foreach(wheel PYARROW OPENVINO ONNX TORCH NANOBIND PLOTLY)
  if(NOT EXISTS "${STROP_${wheel}_DIR}")
    string(TOLOWER ${wheel} wheel_name)
    message(FATAL_ERROR "the Python package ${wheel_name} is missing from ${Python_EXECUTABLE}: "
                        "run 'make setup', or pip install -r setup/requirements.txt")
  endif()
endforeach()

# strop_wheel_library(target file-glob include-dir…): an imported target for a library that lies in a wheel.
# Headers are SYSTEM, so that our warnings do not judge them.
function(strop_wheel_library target glob)
  file(GLOB found "${glob}")
  if(NOT found)
    message(FATAL_ERROR "no file matches ${glob}")
  endif()
  list(GET found 0 location)
  add_library(${target} SHARED IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION "${location}")
  target_include_directories(${target} SYSTEM INTERFACE ${ARGN})
endfunction()

strop_wheel_library(arrow::arrow "${STROP_PYARROW_DIR}/libarrow.so.*" "${STROP_PYARROW_DIR}/include")
strop_wheel_library(arrow::parquet "${STROP_PYARROW_DIR}/libparquet.so.*" "${STROP_PYARROW_DIR}/include")
strop_wheel_library(arrow::flight "${STROP_PYARROW_DIR}/libarrow_flight.so.*" "${STROP_PYARROW_DIR}/include")
target_link_libraries(arrow::parquet INTERFACE arrow::arrow)
target_link_libraries(arrow::flight INTERFACE arrow::arrow)

find_package(OpenVINO REQUIRED COMPONENTS Runtime ONNX PATHS "${STROP_OPENVINO_DIR}/cmake" NO_DEFAULT_PATH)

# TorchConfig.cmake is slow and wants CUDA for a CUDA wheel; the libraries are linked directly.
set(strop_torch_includes "${STROP_TORCH_DIR}/include" "${STROP_TORCH_DIR}/include/torch/csrc/api/include")
strop_wheel_library(torch::torch "${STROP_TORCH_DIR}/lib/libtorch.so" ${strop_torch_includes})
strop_wheel_library(torch::cpu "${STROP_TORCH_DIR}/lib/libtorch_cpu.so" ${strop_torch_includes})
strop_wheel_library(torch::c10 "${STROP_TORCH_DIR}/lib/libc10.so" ${strop_torch_includes})
target_link_libraries(torch::torch INTERFACE torch::cpu torch::c10)

find_package(nanobind CONFIG REQUIRED PATHS "${STROP_NANOBIND_DIR}/cmake" NO_DEFAULT_PATH)

if(STROP_DEVELOPER)
  find_package(GTest REQUIRED)
  find_package(benchmark REQUIRED)
  include(GoogleTest)
endif()
