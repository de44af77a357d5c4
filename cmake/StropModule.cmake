# The helpers that every room's CMakeLists.txt is written with.
#
# The build tree has the layout of the installed package, so that what is tested is what is shipped:
#   <build>/strop/            Python sources (linked) and extensions
#   <build>/strop/lib         one shared library a room
#   <build>/strop/bin         strop and strop-<verb>
set(STROP_PACKAGE_DIR "${CMAKE_BINARY_DIR}/strop")
set(STROP_LIB_DIR "${STROP_PACKAGE_DIR}/lib")
set(STROP_BIN_DIR "${STROP_PACKAGE_DIR}/bin")

# Private to this project: nothing here reaches a consumer of the targets.
function(strop_private_settings target)
  if(STROP_DEVELOPER)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor)
  endif()
endfunction()

# strop_module(feed SOURCES a.cc… HEADERS a.h… LINKS strop::data… PRIVATE_LINKS Threads::Threads…)
# Makes the shared library strop_feed (alias strop::feed). LINKS are the arrows of the design.
# Every header is compiled alone by the target all_verify_interface_header_sets.
function(strop_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;HEADERS;LINKS;PRIVATE_LINKS" ${ARGN})
  set(target strop_${name})
  add_library(${target} SHARED ${ARG_SOURCES})
  add_library(strop::${name} ALIAS ${target})
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS "${CMAKE_SOURCE_DIR}/src" FILES ${ARG_HEADERS})
  target_link_libraries(${target} PUBLIC ${ARG_LINKS} PRIVATE ${ARG_PRIVATE_LINKS})
  target_link_options(${target} PRIVATE -Wl,-z,defs)
  set_target_properties(${target} PROPERTIES
    LIBRARY_OUTPUT_DIRECTORY "${STROP_LIB_DIR}"
    INSTALL_RPATH "$ORIGIN"
    VERIFY_INTERFACE_HEADER_SETS ON)
  strop_private_settings(${target})
  install(TARGETS ${target} LIBRARY DESTINATION strop/lib)
endfunction()

# strop_embed(tune ReportPage report.html) puts the bytes of a file into strop_tune, where
# strop::embedded::ReportPage() answers them as a std::string_view.
function(strop_embed module name file)
  get_filename_component(file "${file}" ABSOLUTE)
  set(source "${CMAKE_CURRENT_BINARY_DIR}/embedded_${name}.cc")
  configure_file("${CMAKE_SOURCE_DIR}/cmake/embed.cc.in" "${source}" @ONLY)
  set_source_files_properties("${source}" PROPERTIES OBJECT_DEPENDS "${file}")
  target_sources(strop_${module} PRIVATE "${source}")
endfunction()

# strop_module_for_v3(tune) makes libstrop_tune.so once more, for CPUs of level x86-64-v3 (AVX2, FMA) and up. The dynamic
# loader of glibc takes it there instead of the one beside, by its place alone. Eigen's matrices cross the border between
# it and what links it, so all of them are aligned for it.
function(strop_module_for_v3 name)
  set(target strop_${name})
  get_target_property(sources ${target} SOURCES)
  get_target_property(links ${target} LINK_LIBRARIES)
  add_library(${target}_v3 SHARED ${sources})
  target_link_libraries(${target}_v3 PRIVATE ${links})
  target_link_options(${target}_v3 PRIVATE -Wl,-z,defs)
  target_compile_options(${target}_v3 PRIVATE -march=x86-64-v3)
  target_compile_definitions(${target}_v3 PRIVATE EIGEN_MAX_ALIGN_BYTES=32)
  target_compile_definitions(${target} PUBLIC EIGEN_MAX_ALIGN_BYTES=32)
  set_target_properties(${target}_v3 PROPERTIES
    OUTPUT_NAME ${target}
    LIBRARY_OUTPUT_DIRECTORY "${STROP_LIB_DIR}/glibc-hwcaps/x86-64-v3"
    INSTALL_RPATH "$ORIGIN/../..")
  strop_private_settings(${target}_v3)
  add_dependencies(${target} ${target}_v3)
  install(TARGETS ${target}_v3 LIBRARY DESTINATION strop/lib/glibc-hwcaps/x86-64-v3)
endfunction()

# strop_test(feed SOURCES a_test.cc… [LINKS …]) makes strop_feed_test; every TEST in it is one ctest test.
function(strop_test name)
  if(NOT STROP_DEVELOPER)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  set(target strop_${name}_test)
  add_executable(${target} ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE ${ARG_LINKS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${target} PRIVATE STROP_SOURCE_DIR="${CMAKE_SOURCE_DIR}" STROP_BIN_DIR="${STROP_BIN_DIR}")
  strop_private_settings(${target})
  gtest_discover_tests(${target} TEST_PREFIX "${name}/" DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 120)
endfunction()

# strop_benchmark(engine SOURCES gemm_bench.cc… LINKS …) makes strop_engine_bench (Google Benchmark).
function(strop_benchmark name)
  if(NOT STROP_DEVELOPER)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  set(target strop_${name}_bench)
  add_executable(${target} ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE ${ARG_LINKS} benchmark::benchmark benchmark::benchmark_main)
  strop_private_settings(${target})
endfunction()

# strop_verb(tune LINKS strop::tune…) makes bin/strop-tune from cli/tune.cc and cli/verb.cc.
function(strop_verb name)
  cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
  set(target strop-${name})
  add_executable(${target} ${name}.cc)
  target_link_libraries(${target} PRIVATE strop_cli ${ARG_LINKS})
  set_target_properties(${target} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${STROP_BIN_DIR}"
    INSTALL_RPATH "$ORIGIN/../lib;$ORIGIN/../../torch/lib")
  strop_private_settings(${target})
  install(TARGETS ${target} RUNTIME DESTINATION strop/bin)
endfunction()

# strop_extension(feed SOURCES feed.cc LINKS strop::feed) makes the Python extension strop._feed.
function(strop_extension name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  set(target strop_python_${name})
  nanobind_add_module(${target} NB_SHARED NB_DOMAIN strop ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE ${ARG_LINKS})
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME _${name}
    LIBRARY_OUTPUT_DIRECTORY "${STROP_PACKAGE_DIR}"
    INSTALL_RPATH "$ORIGIN/lib")
  install(TARGETS ${target} LIBRARY DESTINATION strop)
  # The extensions share one nanobind, so that a tensor or an error of one is known to the others.
  get_property(placed GLOBAL PROPERTY strop_nanobind_placed)
  if(NOT placed)
    set_target_properties(nanobind PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${STROP_LIB_DIR}")
    install(TARGETS nanobind LIBRARY DESTINATION strop/lib)
    set_property(GLOBAL PROPERTY strop_nanobind_placed TRUE)
  endif()
endfunction()
