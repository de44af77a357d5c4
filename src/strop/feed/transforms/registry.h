#pragma once

#include <memory>

#include "strop/feed/transforms/transform.h"

// The makers of the transforms; transform.cc gives them their names.
namespace strop::feed {

std::unique_ptr<Transform> MakeCast(const TransformSpec& spec);
std::unique_ptr<Transform> MakeCrop(const TransformSpec& spec);
std::unique_ptr<Transform> MakeDecode(const TransformSpec& spec);
std::unique_ptr<Transform> MakeFlip(const TransformSpec& spec);
std::unique_ptr<Transform> MakeNormalise(const TransformSpec& spec);
std::unique_ptr<Transform> MakeOneHot(const TransformSpec& spec);
std::unique_ptr<Transform> MakePad(const TransformSpec& spec);
std::unique_ptr<Transform> MakeRandomResizedCrop(const TransformSpec& spec);
std::unique_ptr<Transform> MakeResize(const TransformSpec& spec);
std::unique_ptr<Transform> MakeTokenise(const TransformSpec& spec);

// "uint8 [3,?,?]: expected …" as an Error.
[[noreturn]] void RefuseInput(const data::Column& in, const std::string& wanted);

}  // namespace strop::feed
