#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "strop/base/api.h"
#include "strop/tune/parameter.h"

namespace strop::tune {

// What the parameters of a configuration must keep to, as text: "batch * accumulate <= 512". Names are those
// of numbers, booleans and choices of numbers; operators, functions and && || are muParser's. A constraint
// that names an inactive parameter does not apply. Thread safe; copies share one expression.
class STROP_API Constraint {
 public:
  // Throws kInvalidArgument naming the text and what is wrong with it.
  Constraint(std::string text, std::span<const Parameter> parameters);

  const std::string& text() const noexcept;
  // The places of its parameters among those that it was made with.
  const std::vector<size_t>& parameters() const noexcept;
  // `values`: one a parameter(), in that order.
  bool Holds(std::span<const double> values) const;

 private:
  struct Expression;
  std::shared_ptr<Expression> expression_;
};

}  // namespace strop::tune
