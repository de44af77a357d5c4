#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "strop_onnx.pb.h"

namespace strop::engine::fuzz {

struct Specimen {
  std::string name;
  strop_onnx::ModelProto model;
};

// Small models that load and run, of every family of operators that Session knows. One has its weights in
// the file that PlantFiles makes.
std::vector<Specimen> MakeCorpus();

// What models refer to outside of their bytes: weights.bin, and link.bin, a symlink that leaves the folder.
void PlantFiles(const std::filesystem::path& folder);

}  // namespace strop::engine::fuzz
