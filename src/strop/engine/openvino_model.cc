#include "strop/engine/openvino_model.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <openvino/op/parameter.hpp>
#include <openvino/openvino.hpp>

#include "strop/base/error.h"
#include "strop/engine/openvino_rewrite.h"

namespace strop::engine {
namespace {

// Never destroyed: at exit its plugins may be unloaded before a session that someone forgot.
ov::Core& Core() {
  static ov::Core& core = *new ov::Core();
  return core;
}

// OpenVINO's messages are many lines, of which the "Exception from file:line" and "Check … failed" are not
// for users.
std::string OneLine(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    part.remove_prefix(std::min(part.find_first_not_of(" \t"), part.size()));
    if (part.empty() || part.starts_with("Exception from ") || part.starts_with("Check '")) continue;
    if (!line.empty()) line += "; ";
    line += part;
  }
  constexpr size_t kLongest = 300;
  if (line.size() > kLongest) line = line.substr(0, kLongest) + " …";
  return line;
}

ov::element::Type ElementOf(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return ov::element::f32;
    case DType::kF64:
      return ov::element::f64;
    case DType::kF16:
      return ov::element::f16;
    case DType::kU8:
      return ov::element::u8;
    case DType::kI8:
      return ov::element::i8;
    case DType::kU16:
      return ov::element::u16;
    case DType::kI16:
      return ov::element::i16;
    case DType::kU32:
      return ov::element::u32;
    case DType::kI32:
      return ov::element::i32;
    case DType::kU64:
      return ov::element::u64;
    case DType::kI64:
      return ov::element::i64;
    case DType::kBool:
      return ov::element::boolean;
  }
  throw Error(Code::kInternal, "a dtype without an OpenVINO element type");
}

DType DTypeOfElement(const ov::element::Type& type) {
  for (const DType dtype : {DType::kF32, DType::kF64, DType::kF16, DType::kU8, DType::kI8, DType::kU16,
                            DType::kI16, DType::kU32, DType::kI32, DType::kU64, DType::kI64, DType::kBool}) {
    if (ElementOf(dtype) == type) return dtype;
  }
  throw Error(
      Code::kUnsupported,
      fmt::format("OpenVINO answers elements of type {}, which tensors cannot hold", type.get_type_name()));
}

ov::Tensor View(const Tensor& tensor) {
  const Shape& shape = tensor.shape();
  return ov::Tensor(ElementOf(tensor.dtype()), ov::Shape(shape.begin(), shape.end()), tensor.data());
}

struct OpenVinoRequest : OpenVinoModel::Request {
  ov::InferRequest infer;
  std::vector<bool> bound;  // outputs that were once given memory of ours
};

class Model : public OpenVinoModel {
 public:
  Model(const model::Graph& graph, const Options& options) : profile_layers_(options.profile_layers) {
    const std::shared_ptr<ov::Model> model = Core().read_model(ForOpenVino(graph).Serialize(), ov::Tensor());
    compiled_ = Core().compile_model(
        model, "CPU", ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY),
        ov::hint::inference_precision(ov::element::f32), ov::num_streams(1),
        ov::inference_num_threads(options.threads), ov::enable_profiling(options.profile_layers));
    FindInputs(graph);
    for (const model::ValueInfo& value : graph.outputs)
      outputs_.push_back(IndexOf(compiled_.outputs(), value.name));
    FindPassedThrough();
  }

  std::unique_ptr<Request> NewRequest() override {
    auto request = std::make_unique<OpenVinoRequest>();
    request->infer = compiled_.create_infer_request();
    request->bound.resize(outputs_.size());
    return request;
  }

  void Infer(std::unique_ptr<Request>& request, std::span<const Tensor> inputs,
             std::span<Tensor> outputs) override {
    try {
      for (size_t i = 0; i < outputs.size(); ++i) {
        // Memory once bound cannot be given back to OpenVINO; only a new request has its own again.
        if (!outputs[i] && static_cast<OpenVinoRequest&>(*request).bound[i]) {
          request = NewRequest();
          break;
        }
      }
      auto& own = static_cast<OpenVinoRequest&>(*request);
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (inputs_[i] != kAbsent) own.infer.set_input_tensor(inputs_[i], View(inputs[i]));
      }
      for (size_t i = 0; i < outputs.size(); ++i) {
        if (!outputs[i] || passed_[i] != kAbsent) continue;
        own.infer.set_output_tensor(outputs_[i], View(outputs[i]));
        own.bound[i] = true;
      }
      own.infer.infer();
      for (size_t i = 0; i < outputs.size(); ++i) {
        if (passed_[i] != kAbsent) {
          outputs[i] = inputs[passed_[i]].Clone();
          continue;
        }
        const ov::Tensor answer = own.infer.get_output_tensor(outputs_[i]);
        const ov::Shape made = answer.get_shape();  // a copy each time it is asked
        const Shape shape(made.begin(), made.end());
        // The sizes of an output can depend on the values, whatever the model declares.
        if (!outputs[i] || outputs[i].shape() != shape)
          outputs[i] = Tensor::New(DTypeOfElement(answer.get_element_type()), shape);
        if (answer.data() != outputs[i].data())
          std::memcpy(outputs[i].data(), answer.data(), answer.get_byte_size());
      }
    } catch (const ov::Exception& error) {
      request = NewRequest();  // one that has failed answers in the shapes of the failure
      throw Error(Code::kInvalidArgument, "OpenVINO could not run the model: " + OneLine(error.what()));
    }
  }

  std::vector<LayerProfile> LayerTimes(Request& request) const override {
    std::vector<LayerProfile> layers;
    if (!profile_layers_) return layers;
    for (const ov::ProfilingInfo& info : static_cast<OpenVinoRequest&>(request).infer.get_profiling_info()) {
      if (info.status != ov::ProfilingInfo::Status::EXECUTED) continue;
      layers.push_back({info.node_name, info.node_type, "openvino " + info.exec_type, 1,
                        std::chrono::duration<double>(info.real_time).count()});
    }
    return layers;
  }

 private:
  static constexpr size_t kAbsent = static_cast<size_t>(-1);  // an input that no node reads

  static size_t IndexOf(const std::vector<ov::Output<const ov::Node>>& ports, const std::string& name) {
    for (size_t i = 0; i < ports.size(); ++i) {
      if (ports[i].get_names().contains(name)) return i;
    }
    return kAbsent;
  }

  // By place: an input that an operator only passes on (Dropout) bears the name of what it is passed on as.
  // Where OpenVINO leaves inputs out that it does not read, the names must tell.
  void FindInputs(const model::Graph& graph) {
    const size_t count = compiled_.inputs().size();
    size_t found = 0;
    for (size_t i = 0; i < graph.inputs.size(); ++i) {
      inputs_.push_back(count == graph.inputs.size() ? i : IndexOf(compiled_.inputs(), graph.inputs[i].name));
      if (inputs_.back() != kAbsent) ++found;
    }
    if (found != count)
      throw Error(Code::kUnsupported, "OpenVINO has lost the names of inputs that are passed on");
  }

  // An output that is one of the inputs (Max of one tensor, Dropout) must not be given memory: OpenVINO
  // either leaves it as it is or copies it over the input.
  void FindPassedThrough() {
    std::map<std::string, std::string> source;  // of each Result, the Parameter behind it
    const std::shared_ptr<const ov::Model> executed = compiled_.get_runtime_model();
    for (const auto& result : executed->get_results()) {
      const std::shared_ptr<ov::Node> from = result->get_input_node_shared_ptr(0);
      if (ov::as_type_ptr<ov::op::v0::Parameter>(from))
        source[result->get_friendly_name()] = from->get_friendly_name();
    }
    passed_.assign(outputs_.size(), kAbsent);
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const auto found = source.find(compiled_.output(outputs_[i]).get_node()->get_friendly_name());
      for (size_t k = 0; found != source.end() && k < inputs_.size(); ++k) {
        if (inputs_[k] != kAbsent &&
            compiled_.input(inputs_[k]).get_node()->get_friendly_name() == found->second)
          passed_[i] = k;
      }
    }
  }

  const bool profile_layers_;
  ov::CompiledModel compiled_;
  std::vector<size_t> inputs_, outputs_;
  std::vector<size_t> passed_;  // of each output, the input that it is; kAbsent
};

}  // namespace

std::unique_ptr<OpenVinoModel> OpenVinoModel::Compile(const model::Graph& graph, const Options& options) {
  try {
    return std::make_unique<Model>(graph, options);
  } catch (const ov::Exception& error) {
    throw Error(Code::kUnsupported, "OpenVINO cannot compile it: " + OneLine(error.what()));
  }
}

}  // namespace strop::engine
