#include "strop/tune/command.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string_view>

#include <fmt/format.h>

#include "strop/base/error.h"

namespace strop::tune {
namespace {

bool IsNameByte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-';
}
bool LooksLikeName(std::string_view text) {
  return !text.empty() && (std::isalpha(static_cast<unsigned char>(text[0])) || text[0] == '_') &&
         std::all_of(text.begin(), text.end(), IsNameByte);
}

std::string PlainText(const ParamValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* real = std::get_if<double>(&value)) return fmt::format("{}", *real);
  return ValueText(value);
}

struct Filler {
  const Space& space;
  std::map<std::string, std::string> values;

  // nullopt when the argument names an inactive parameter.
  std::optional<std::string> Fill(const std::string& argument) const {
    std::string filled;
    for (size_t i = 0; i < argument.size(); ++i) {
      if (const std::string name = Escaped(argument, i); !name.empty()) {
        filled += "{" + name + "}";
        i += name.size() + 3;
        continue;
      }
      const size_t end = argument[i] == '{' ? argument.find('}', i) : std::string::npos;
      const std::string name = end == std::string::npos ? "" : argument.substr(i + 1, end - i - 1);
      const auto found = values.find(name);
      if (found == values.end() && !space.Find(name)) {
        if (LooksLikeName(name)) Unknown(name);
        filled += argument[i];
        continue;
      }
      if (found == values.end()) return std::nullopt;
      filled += found->second;
      i = end;
    }
    return filled;
  }

  // Of {{name}} at `at` the name; "" of anything else.
  static std::string Escaped(const std::string& argument, size_t at) {
    if (argument.compare(at, 2, "{{") != 0) return "";
    const size_t end = argument.find("}}", at);
    std::string name = end == std::string::npos ? "" : argument.substr(at + 2, end - at - 2);
    return LooksLikeName(name) ? name : "";
  }

  [[noreturn]] void Unknown(const std::string& name) const {
    std::string known;
    for (const auto& [key, value] : values) known += fmt::format("{}{{{}}}", known.empty() ? "" : ", ", key);
    throw Error(Code::kInvalidArgument,
                fmt::format("the trainer's command has {{{}}}, which is no parameter: expected {}, or "
                            "{{{{{}}}}} for the text itself",
                            name, known, name));
  }
};

bool IsWordByte(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// The number that starts at `at`, at least one digit, or nan or inf if `names`.
std::optional<double> NumberAt(const std::string& text, size_t at, bool names, size_t* end) {
  const char* begin = text.c_str() + at;
  size_t sign = text[at] == '-' || text[at] == '+' ? 1 : 0;
  const auto next = static_cast<unsigned char>(begin[sign]);
  if (!names && !std::isdigit(next) && next != '.') return std::nullopt;
  char* stop = nullptr;
  const double value = std::strtod(begin, &stop);
  if (stop == begin) return std::nullopt;
  *end = at + static_cast<size_t>(stop - begin);
  // Of "information" it is not "inf".
  if (std::isalpha(next) && *end < text.size() && IsWordByte(text[*end])) return std::nullopt;
  return value;
}

}  // namespace

std::vector<std::string> FillCommand(const std::vector<std::string>& command, const Space& space,
                                     const StartMessage& start) {
  Filler filler{space,
                {{"budget", fmt::format("{}", start.budget)},
                 {"seed", std::to_string(start.seed)},
                 {"out_dir", start.out_dir}}};
  if (!start.train.empty()) filler.values["data"] = start.train;
  if (!start.validation.empty()) filler.values["validation"] = start.validation;
  for (const auto& [name, value] : start.params) filler.values[name] = PlainText(value);
  std::vector<std::string> filled;
  for (size_t i = 0; i < command.size(); ++i) {
    if (auto argument = filler.Fill(command[i])) {
      filled.push_back(std::move(*argument));
    } else if (!command[i].starts_with('-') && i > 0 && command[i - 1].starts_with('-') && !filled.empty() &&
               filled.back() == command[i - 1]) {
      filled.pop_back();
    }
  }
  return filled;
}

std::optional<double> PrintedMetric(const std::string& output, const std::string& metric) {
  std::optional<double> value;
  for (size_t at = output.find(metric); at != std::string::npos; at = output.find(metric, at + 1)) {
    // Not the end of another name, as val_acc, test/acc or best.acc.
    if (at > 0 && (IsWordByte(output[at - 1]) || std::strchr("-/.", output[at - 1]))) continue;
    size_t i = at + metric.size();
    while (i < output.size() && (output[i] == ' ' || output[i] == '"')) ++i;
    if (i >= output.size() || (output[i] != '=' && output[i] != ':')) continue;
    ++i;
    while (i < output.size() && output[i] == ' ') ++i;
    size_t end = 0;
    if (i < output.size())
      if (auto number = NumberAt(output, i, true, &end)) value = number;
  }
  if (value) return value;
  for (size_t i = 0; i < output.size(); ++i) {
    const bool starts = i == 0 || (!IsWordByte(output[i - 1]) && output[i - 1] != '.');
    size_t end = 0;
    if (!starts) continue;
    const auto number = NumberAt(output, i, false, &end);
    if (!number) continue;
    // "3rd" and "2024-01-01T…" are not numbers; "3/10" is two, "0.5," is one.
    if (end >= output.size() || !IsWordByte(output[end])) value = number;
    i = end - 1;
  }
  return value;
}

}  // namespace strop::tune
