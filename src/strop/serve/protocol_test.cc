#include "strop/serve/protocol.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"

namespace strop::serve {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

Signature MakeSignature(DType input = DType::kU8, DType output = DType::kF32) {
  return {"m", 3, {{"image", input, {-1, 2, 2}, {"", "", ""}}}, {{"logits", output, {-1, 3}, {"", ""}}}};
}

InferRequest Parse(const std::string& body, const Signature& signature = MakeSignature()) {
  return ParseInferRequest(body, std::nullopt, signature);
}

std::string Message(const std::string& body, const Signature& signature = MakeSignature(),
                    std::optional<size_t> header_length = std::nullopt) {
  try {
    ParseInferRequest(body, header_length, signature);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

std::string Input(const std::string& fields) { return R"({"inputs":[{"name":"image",)" + fields + "}]}"; }

TEST(ParseInferRequest, TakesFlatData) {
  const auto request = Parse(Input(R"("shape":[1,2,2],"datatype":"UINT8","data":[1,2,3,255])"));
  const Tensor& tensor = request.inputs.at("image");
  EXPECT_EQ(tensor.shape(), (Shape{1, 2, 2}));
  EXPECT_THAT(tensor.As<uint8_t>(), testing::ElementsAre(1, 2, 3, 255));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data()) % kTensorAlignment, 0u);
  ASSERT_EQ(request.outputs.size(), 1u);
  EXPECT_EQ(request.outputs[0].name, "logits");
  EXPECT_FALSE(request.outputs[0].binary);
  EXPECT_EQ(request.id, "");
}

TEST(ParseInferRequest, TakesNestedData) {
  const auto request = Parse(R"({"id":"a","inputs":[{"name":"image","shape":[2,2,2],"datatype":"UINT8",
                               "data":[[[1,2],[3,4]],[[5,6],[7,8]]]}]})");
  EXPECT_THAT(request.inputs.at("image").As<uint8_t>(), testing::ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_EQ(request.id, "a");
}

TEST(ParseInferRequest, TakesBinaryData) {
  const std::string header =
      Input(R"("shape":[1,2,2],"datatype":"UINT8","parameters":{"binary_data_size":4})");
  const auto request = ParseInferRequest(header + "\x01\x02\x03\xff", header.size(), MakeSignature());
  EXPECT_THAT(request.inputs.at("image").As<uint8_t>(), testing::ElementsAre(1, 2, 3, 255));
}

TEST(ParseInferRequest, BinaryOutputsByRequestOrByOutput) {
  const std::string input =
      R"("inputs":[{"name":"image","shape":[1,2,2],"datatype":"UINT8","data":[1,2,3,4]}])";
  EXPECT_TRUE(Parse(R"({"parameters":{"binary_data_output":true},)" + input + "}").outputs[0].binary);
  EXPECT_TRUE(Parse("{" + input + R"(,"outputs":[{"name":"logits","parameters":{"binary_data":true}}]})")
                  .outputs[0]
                  .binary);
  EXPECT_FALSE(Parse(R"({"parameters":{"binary_data_output":true},)" + input +
                     R"(,"outputs":[{"name":"logits","parameters":{"binary_data":false}}]})")
                   .outputs[0]
                   .binary);
}

TEST(ParseInferRequest, EveryWrongValueIsNamedInOneLine) {
  const std::pair<std::string, const char*> kCases[] = {
      {"", "not JSON"},
      {"{", "not JSON"},
      {"[]", "expected an object"},
      {"{}", "no \"inputs\""},
      {R"({"inputs":{}})", "no \"inputs\""},
      {R"({"inputs":[]})", "input \"image\" is missing"},
      {R"({"inputs":[3]})", "expected an object"},
      {R"({"inputs":[{}]})", "no \"name\""},
      {R"({"inputs":[{"name":4}]})", "expected a string"},
      {R"({"id":7,"inputs":[]})", "\"id\" is \"7\""},
      {R"({"inputs":[{"name":"x"}]})", "no input \"x\": it takes image"},
      {Input(R"("shape":[1,2,2],"data":[1])"), "no \"datatype\""},
      {Input(R"("shape":[1,2,2],"datatype":"FP32","data":[1,2,3,4])"), "datatype FP32, expected UINT8"},
      {Input(R"("shape":[1,2,2],"datatype":"BYTES","data":["a"])"), "BYTES is not served"},
      {Input(R"("shape":[1,2,2],"datatype":"U8","data":[1])"), "not one of BOOL"},
      {Input(R"("datatype":"UINT8","data":[1,2,3,4])"), "no \"shape\""},
      {Input(R"("shape":[1,2],"datatype":"UINT8","data":[1,2])"), "shape [1,2], expected [?,2,2]"},
      {Input(R"("shape":[1,2,3],"datatype":"UINT8","data":[1,2])"), "shape [1,2,3], expected [?,2,2]"},
      {Input(R"("shape":[-1,2,2],"datatype":"UINT8","data":[1])"), "whole numbers"},
      {Input(R"("shape":[1.5,2,2],"datatype":"UINT8","data":[1])"), "whole numbers"},
      {Input(R"("shape":[18446744073709551615,2,2],"datatype":"UINT8","data":[1])"), "whole numbers"},
      {Input(R"("shape":[0,2,2],"datatype":"UINT8","data":[])"), "at least one row"},
      {Input(R"("shape":[2147483647,2,2],"datatype":"UINT8","data":[1])"), "1e9"},
      {Input(R"("shape":[100000000,2,2],"datatype":"UINT8","data":[1])"), "holds 1 elements"},
      {Input(R"("shape":[1,2,2],"datatype":"UINT8","data":[1,2,3])"),
       "holds 3 elements where the shape [1,2,2] wants 4"},
      {Input(R"("shape":[1,2,2],"datatype":"UINT8","data":[[[1,2],[3]]])"), "holds 1 elements"},
      {Input(R"("shape":[1,2,2],"datatype":"UINT8","data":[[1,2],[3,4]])"), "holds 2 elements"},
      {Input(R"("shape":[1,2,2],"datatype":"UINT8","data":[[[1,2],[3,[4]]]])"), "does not fit"},
      {Input(R"("shape":[1,2,2],"datatype":"UINT8","data":[1,2,3,256])"), "\"256\" does not fit UINT8"},
      {Input(R"("shape":[1,2,2],"datatype":"UINT8","data":[1,2,3,-1])"), "\"-1\" does not fit UINT8"},
      {Input(R"("shape":[1,2,2],"datatype":"UINT8","data":[1,2,3,1.5])"), "\"1.5\" does not fit UINT8"},
      {Input(R"("shape":[1,2,2],"datatype":"UINT8","data":[1,2,3,"4"])"), "does not fit UINT8"},
      {Input(R"("shape":[1,2,2],"datatype":"UINT8","data":[1,2,3,null])"), "does not fit UINT8"},
      {Input(R"("shape":[1,2,2],"datatype":"UINT8","data":7)"), "neither \"data\""},
      {Input(R"("shape":[1,2,2],"datatype":"UINT8")"), "neither \"data\""},
      {Input(R"("shape":[1,2,2],"datatype":"UINT8","parameters":{"binary_data_size":4})"),
       "0 left in the body"},
      {Input(R"("shape":[1,2,2],"datatype":"UINT8","parameters":{"shared_memory_region":"a"})"),
       "shared memory"},
      {Input(R"("shape":[1,2,2],"datatype":"UINT8","parameters":[],"data":[1,2,3,4])"), "\"parameters\""},
      {R"({"inputs":[{"name":"image","shape":[1,2,2],"datatype":"UINT8","data":[1,2,3,4]},
                     {"name":"image","shape":[1,2,2],"datatype":"UINT8","data":[1,2,3,4]}]})",
       "given twice"},
      {R"({"inputs":[{"name":"image","shape":[1,2,2],"datatype":"UINT8","data":[1,2,3,4]}],"outputs":[{"name":"y"}]})",
       "no output \"y\": it gives logits"},
      {R"({"inputs":[{"name":"image","shape":[1,2,2],"datatype":"UINT8","data":[1,2,3,4]}],
           "outputs":[{"name":"logits","parameters":{"classification":2}}]})",
       "classification"},
      {R"({"parameters":{"binary_data_output":1},"inputs":[]})", "expected true or false"},
  };
  for (const auto& [body, part] : kCases) {
    const std::string message = Message(body);
    EXPECT_THAT(message, HasSubstr(part)) << body;
    EXPECT_EQ(message.find('\n'), std::string::npos) << body;
    EXPECT_LT(message.size(), 400u) << body;
  }
}

TEST(ParseInferRequest, AFloatBeyondItsRangeIsRefused) {
  const Signature signature = MakeSignature(DType::kF32);
  EXPECT_THAT(Message(Input(R"("shape":[1,2,2],"datatype":"FP32","data":[1,2,3,1e39])"), signature),
              HasSubstr("does not fit FP32"));
  EXPECT_EQ(Message(Input(R"("shape":[1,2,2],"datatype":"FP32","data":[1,2,3,-3.4028235e+38])"), signature),
            "accepted");
}

TEST(ParseInferRequest, BinarySizesAreChecked) {
  const auto body = [](int size) {
    return Input(
        fmt::format(R"("shape":[1,2,2],"datatype":"UINT8","parameters":{{"binary_data_size":{}}})", size));
  };
  EXPECT_THAT(Message(body(3) + "abcd", MakeSignature(), body(3).size()), HasSubstr("takes 4 bytes"));
  EXPECT_THAT(Message(body(4) + "abc", MakeSignature(), body(4).size()), HasSubstr("3 left in the body"));
  EXPECT_THAT(Message(body(4) + "abcde", MakeSignature(), body(4).size()),
              HasSubstr("1 bytes of binary data belong to no"));
  EXPECT_THAT(Message(body(-4) + "abcd", MakeSignature(), body(-4).size()),
              HasSubstr("expected a number of bytes"));
}

TEST(ParseInferRequest, DeepNestingIsRefusedNotFatal) {
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  EXPECT_THAT(Message(deep), HasSubstr("an array of 1"));
  EXPECT_NE(Message(Input(R"("shape":[1,2,2],"datatype":"UINT8","data":)" + deep)), "accepted");
}

// Every prefix, and every one-byte change, of a good request is either taken or refused by an Error.
TEST(ParseInferRequest, NothingButErrorsComesOutOfDamagedRequests) {
  const std::string header =
      Input(R"("shape":[1,2,2],"datatype":"UINT8","parameters":{"binary_data_size":4})");
  const std::string good = header + "abcd";
  int refused = 0, accepted = 0;
  const auto attempt = [&](const std::string& body, size_t length) {
    try {
      ParseInferRequest(body, std::min(length, body.size()), MakeSignature());
      ++accepted;
    } catch (const Error&) {
      ++refused;
    }
  };
  for (size_t cut = 0; cut < good.size(); ++cut) attempt(good.substr(0, cut), header.size());
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char byte : {'\0', '"', '{', '9', '\xff'}) {
      std::string bad = good;
      bad[at] = byte;
      attempt(bad, header.size());
    }
  }
  EXPECT_GT(refused, 300);
  EXPECT_GT(accepted, 4);  // a change in the binary data is another picture
}

TEST(ParseHeaderLength, IsANumberWithinTheBody) {
  EXPECT_EQ(ParseHeaderLength("", 5), std::nullopt);
  EXPECT_EQ(ParseHeaderLength("5", 5), 5u);
  EXPECT_THROW(ParseHeaderLength("6", 5), Error);
  EXPECT_THROW(ParseHeaderLength("-1", 5), Error);
  EXPECT_THROW(ParseHeaderLength("5x", 5), Error);
  EXPECT_THROW(ParseHeaderLength("99999999999999999999999", 5), Error);
}

template <class T>
class DTypes : public testing::Test {};
using Numbers =
    testing::Types<float, double, uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, uint64_t, int64_t>;
TYPED_TEST_SUITE(DTypes, Numbers);

// The extremes of every type go through JSON and back unchanged.
TYPED_TEST(DTypes, RoundTripsThroughJson) {
  using T = TypeParam;
  constexpr DType kType = DTypeOf<T>::value;
  const std::vector<T> values = {std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max(), T{0},
                                 static_cast<T>(1) / 3};
  Signature signature = MakeSignature(kType, kType);
  signature.outputs = signature.inputs;
  InferRequest asked;
  asked.outputs = {{"image", false}};
  const auto response = MakeInferResponse(
      asked, "i", signature, {{"image", Tensor::From<T>({1, 2, 2}, std::span<const T>(values))}});
  Json body = Json::parse(response.body);
  EXPECT_EQ(body["id"], "i");
  EXPECT_EQ(body["model_version"], "3");
  body["inputs"] = body["outputs"];
  body.erase("outputs");
  const auto again = Parse(body.dump(), signature);
  EXPECT_THAT(again.inputs.at("image").template As<T>(), testing::ElementsAreArray(values));
}

TYPED_TEST(DTypes, RoundTripsThroughBinary) {
  using T = TypeParam;
  constexpr DType kType = DTypeOf<T>::value;
  const std::vector<T> values = {std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max(), T{1}, T{2}};
  Signature signature = MakeSignature(kType, kType);
  signature.outputs = signature.inputs;
  InferRequest asked;
  asked.outputs = {{"image", true}};
  const auto response = MakeInferResponse(
      asked, "i", signature, {{"image", Tensor::From<T>({1, 2, 2}, std::span<const T>(values))}});
  ASSERT_EQ(response.headers.size(), 1u);
  EXPECT_EQ(response.headers[0].first, "Inference-Header-Content-Length");
  const size_t header = std::stoul(response.headers[0].second);
  Json body = Json::parse(response.body.substr(0, header));
  EXPECT_EQ(body["outputs"][0]["parameters"]["binary_data_size"], 4 * sizeof(T));
  body["inputs"] = body["outputs"];
  body.erase("outputs");
  const std::string text = body.dump();
  const auto again = ParseInferRequest(text + response.body.substr(header), text.size(), signature);
  EXPECT_THAT(again.inputs.at("image").template As<T>(), testing::ElementsAreArray(values));
}

TEST(MakeInferResponse, BoolsAreTrueAndFalse) {
  Signature signature = MakeSignature(DType::kBool, DType::kBool);
  signature.outputs = signature.inputs;
  const auto request =
      Parse(Input(R"("shape":[1,2,2],"datatype":"BOOL","data":[true,false,false,true])"), signature);
  InferRequest asked;
  asked.outputs = {{"image", false}};
  const auto response = MakeInferResponse(asked, "i", signature, request.inputs);
  EXPECT_EQ(Json::parse(response.body)["outputs"][0]["data"], Json::parse("[true,false,false,true]"));
  EXPECT_THAT(Message(Input(R"("shape":[1,2,2],"datatype":"BOOL","data":[1,0,0,1])"), signature),
              HasSubstr("does not fit BOOL"));
}

TEST(MakeInferResponse, WhatJsonCannotHoldIsNull) {
  const std::vector<float> values = {std::numeric_limits<float>::infinity(), std::nanf(""), 1.5f};
  InferRequest asked;
  asked.outputs = {{"logits", false}};
  const auto response = MakeInferResponse(
      asked, "i", MakeSignature(), {{"logits", Tensor::From<float>({1, 3}, std::span<const float>(values))}});
  EXPECT_EQ(Json::parse(response.body)["outputs"][0]["data"], Json::parse("[null,null,1.5]"));
}

TEST(Float16, GoesByBinaryOnly) {
  const Signature signature = MakeSignature(DType::kF16, DType::kF16);
  EXPECT_THAT(Message(Input(R"("shape":[1,2,2],"datatype":"FP16","data":[1,2,3,4])"), signature),
              HasSubstr("send it as binary"));
  const std::string header =
      Input(R"("shape":[1,2,2],"datatype":"FP16","parameters":{"binary_data_size":8})");
  EXPECT_THAT(Message(header + "abcdefgh", signature, header.size()),
              HasSubstr("FP16, which has no JSON form"));
}

TEST(Metadata, NamesShapesAndTypes) {
  const Json model = Json::parse(ModelMetadataJson(MakeSignature()));
  EXPECT_EQ(model, Json::parse(R"({"name":"m","versions":["3"],"platform":"onnx",
      "inputs":[{"name":"image","datatype":"UINT8","shape":[-1,2,2]}],
      "outputs":[{"name":"logits","datatype":"FP32","shape":[-1,3]}]})"));
  const Json server = Json::parse(ServerMetadataJson());
  EXPECT_EQ(server["name"], "strop");
  EXPECT_THAT(server["extensions"], testing::Contains(Json("binary_tensor_data")));
}

}  // namespace
}  // namespace strop::serve
