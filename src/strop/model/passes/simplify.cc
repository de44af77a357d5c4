#include "strop/model/passes.h"

namespace strop::model {

void Simplify(Graph& graph) {
  for (size_t before = graph.nodes.size() + 1; graph.nodes.size() < before;) {
    before = graph.nodes.size();
    FoldConstants(graph);
    FoldBatchNorm(graph);
    FoldShapes(graph);
    RemoveDead(graph);
  }
}

}  // namespace strop::model
