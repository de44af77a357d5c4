#include "strop/tune/constraint.h"

#include <algorithm>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <muParser.h>

#include "strop/base/error.h"

namespace strop::tune {
namespace {

bool IsNumeric(const Parameter& parameter) {
  const auto* list = std::get_if<ChoiceList>(&parameter.domain);
  return list == nullptr ||
         std::none_of(list->values.begin(), list->values.end(),
                      [](const ParamValue& value) { return std::holds_alternative<std::string>(value); });
}

[[noreturn]] void Reject(const std::string& text, const std::string& why) {
  throw Error(Code::kInvalidArgument, fmt::format("constraint \"{}\": {}", text, why));
}

bool IsOneOf(char c, std::string_view some) { return some.find(c) != std::string_view::npos; }

// What muparser would take for something else: an assignment, several results, a chain of comparisons (whose
// second one compares with 0 or 1), and what compares nothing.
void CheckForm(const std::string& text) {
  bool compares = false;
  std::vector<int> comparisons = {0};  // since && or ||, by depth of parentheses
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i], next = i + 1 < text.size() ? text[i + 1] : ' ';
    if (c == '(') {
      comparisons.push_back(0);
    } else if (c == ')' && comparisons.size() > 1) {
      comparisons.pop_back();
    } else if (c == ',' && comparisons.size() == 1) {
      Reject(text, "expected one condition: join several with &&");
    } else if ((c == '&' && next == '&') || (c == '|' && next == '|')) {
      comparisons.back() = 0;
      ++i;
    } else if (IsOneOf(c, "<>=!")) {
      if (c == '=' && next != '=') Reject(text, "= sets a value: expected == or another comparison");
      if (c == '!' && next != '=') continue;
      if (next == '=') ++i;
      compares = true;
      if (++comparisons.back() > 1)
        Reject(text, "several comparisons: join them with && or ||, as a < b && b < c");
    }
  }
  if (!compares) Reject(text, "expected a comparison in it, as a <= b");
}

}  // namespace

struct Constraint::Expression {
  std::string text;
  std::vector<size_t> used;
  std::vector<double> values;  // what the parser's variables point to
  mu::Parser parser;
  std::mutex mutex;  // of `values` and `parser`
};

Constraint::Constraint(std::string text, std::span<const Parameter> parameters)
    : expression_(std::make_shared<Expression>()) {
  Expression& e = *expression_;
  e.text = std::move(text);
  try {
    CheckForm(e.text);
    // The names first: a variable is bound to its number once it is known which are used.
    e.parser.SetExpr(e.text);
    std::vector<std::string> names;
    for (const auto& [name, unused] : e.parser.GetUsedVar()) names.push_back(name);
    if (names.empty()) Reject(e.text, "expected the name of a parameter in it");
    e.values.assign(names.size(), 0.0);
    for (size_t i = 0; i < names.size(); ++i) {
      const auto found = std::find_if(parameters.begin(), parameters.end(),
                                      [&](const Parameter& parameter) { return parameter.name == names[i]; });
      if (found == parameters.end()) Reject(e.text, fmt::format("\"{}\" is not in the space", names[i]));
      if (!IsNumeric(*found)) Reject(e.text, fmt::format("\"{}\" has values that are no numbers", names[i]));
      e.used.push_back(static_cast<size_t>(found - parameters.begin()));
      e.parser.DefineVar(names[i], &e.values[i]);
    }
    e.parser.Eval();
  } catch (const mu::Parser::exception_type& error) {
    Reject(e.text, error.GetMsg());
  }
}

const std::string& Constraint::text() const noexcept { return expression_->text; }
const std::vector<size_t>& Constraint::parameters() const noexcept { return expression_->used; }

bool Constraint::Holds(std::span<const double> values) const {
  Expression& e = *expression_;
  std::lock_guard lock(e.mutex);
  std::copy(values.begin(), values.end(), e.values.begin());
  return e.parser.Eval() != 0;
}

}  // namespace strop::tune
