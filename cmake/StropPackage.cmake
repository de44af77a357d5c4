# What travels inside the wheel beside our own libraries: the Arrow and OpenVINO that Strop was built with. Their
# names are kept, and each finds its neighbours by an rpath of $ORIGIN.
file(GLOB strop_bundled
  "${STROP_PYARROW_DIR}/libarrow.so.*"
  "${STROP_PYARROW_DIR}/libarrow_flight.so.*"
  "${STROP_PYARROW_DIR}/libparquet.so.*"
  "${STROP_OPENVINO_DIR}/libs/libopenvino.so.*"
  "${STROP_OPENVINO_DIR}/libs/libopenvino_intel_cpu_plugin.so"
  "${STROP_OPENVINO_DIR}/libs/libopenvino_onnx_frontend.so.*"
  "${STROP_OPENVINO_DIR}/libs/libtbb.so.*")
install(FILES ${strop_bundled} DESTINATION strop/lib)
