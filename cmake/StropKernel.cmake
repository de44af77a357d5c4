# strop_kernel(engine FOLDER kernels/gemm SOURCES scalar.cc [AVX2 x86_avx2.cc] [AVX512 x86_avx512.cc] [VNNI x86_avx512vnni.cc]
#              [AMX x86_amx.cc])
# Adds a kernel family to a room, each ISA file compiled for its instruction set and no other file. On another
# architecture only SOURCES are. Contraction of a*b+c is off, so that scalar code rounds as it is written everywhere.
function(strop_kernel name)
  cmake_parse_arguments(ARG "" "FOLDER" "SOURCES;AVX2;AVX512;VNNI;AMX" ${ARGN})
  set(avx2 -mavx2 -mfma -mf16c)
  # GCC 12's avx512fintrin.h makes its "undefined" vectors from uninitialised ones (GCC bug 105593).
  set(avx512 ${avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -Wno-uninitialized -Wno-maybe-uninitialized)
  set(vnni ${avx512} -mavx512vnni)
  set(amx ${vnni} -mavx512vbmi -mamx-tile -mamx-int8)
  list(TRANSFORM ARG_SOURCES PREPEND "${ARG_FOLDER}/")
  target_sources(strop_${name} PRIVATE ${ARG_SOURCES})
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    return()
  endif()
  foreach(isa AVX2 AVX512 VNNI AMX)
    string(TOLOWER ${isa} flags)
    foreach(source IN LISTS ARG_${isa})
      target_sources(strop_${name} PRIVATE "${ARG_FOLDER}/${source}")
      set_source_files_properties("${ARG_FOLDER}/${source}" PROPERTIES COMPILE_OPTIONS "${${flags}};-ffp-contract=off")
    endforeach()
  endforeach()
endfunction()
