// For tests/test_model.py: one command a line on stdin, one answer a line on stdout ("ok …" or "<code>:
// message"). Tensors travel as the initializers of an ONNX file.
//   supports OP OPSET            ok or no
//   copy MODEL OUT               load, save
//   simplify MODEL OUT           load, simplify, save
//   evaluate MODEL INPUTS OUT    the reference evaluator
//   shapes MODEL                 ok value=dtype[sizes] …
//   everything MODEL             all of it, for broken models: load, infer shapes, simplify, serialize
#include <iostream>
#include <sstream>

#include <fmt/format.h>

#include "strop/base/error.h"
#include "strop/model/graph.h"
#include "strop/model/passes.h"
#include "strop/model/reference/evaluator.h"

namespace {

using strop::model::Graph;

std::string Evaluate(const Graph& graph, const std::string& inputs, const std::string& out) {
  Graph answer;
  answer.opsets[""] = graph.opset();
  answer.initializers = strop::model::reference::Evaluate(graph, Graph::Load(inputs).initializers);
  for (const auto& [name, tensor] : answer.initializers)
    answer.outputs.push_back({name, tensor.dtype(), tensor.shape(), {}});
  answer.Save(out);
  return "ok";
}

std::string Shapes(const Graph& graph) {
  std::string text = "ok";
  for (const auto& [name, value] : strop::model::InferShapes(graph)) {
    text += fmt::format(" {}={}{}", name, strop::DTypeName(value.dtype),
                        value.has_shape ? strop::ShapeText(value.shape) : "");
  }
  return text;
}

std::string Everything(Graph graph) {
  strop::model::InferShapes(graph);
  strop::model::Simplify(graph);
  Graph::Parse(graph.Serialize());
  return "ok";
}

std::string Answer(const std::string& line) {
  std::istringstream words(line);
  std::string command, model, first, second;
  words >> command >> model >> first >> second;
  if (command == "supports") {
    strop::model::Node node;
    node.op = model;
    return strop::model::reference::Supports(node, std::stoll(first)) ? "ok" : "no";
  }
  Graph graph = Graph::Load(model);
  if (command == "evaluate") return Evaluate(graph, first, second);
  if (command == "shapes") return Shapes(graph);
  if (command == "everything") return Everything(std::move(graph));
  if (command == "simplify") strop::model::Simplify(graph);
  graph.Save(first);
  return "ok";
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    try {
      std::cout << Answer(line) << std::endl;
    } catch (const strop::Error& error) {
      std::cout << strop::CodeName(error.code()) << ": " << error.what() << std::endl;
    }
  }
}
