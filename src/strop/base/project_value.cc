#include "strop/base/project_value.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include <fmt/format.h>

#include "strop/base/edit_distance.h"
#include "strop/base/error.h"

namespace strop::project {
namespace {

constexpr size_t kShownValue = 60;  // characters of a value that a message quotes

std::string Quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<std::string> AllQuoted(std::vector<std::string> words) {
  for (std::string& word : words) word = Quoted(word);
  return words;
}

std::string Joined(const std::vector<std::string>& words, std::string_view last = " or ") {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? last : ", ";
    text += words[i];
  }
  return text;
}

void Append(std::string& out, const toml::node& value) {
  if (const auto* text = value.as_string()) {
    out += Quoted(text->get());
  } else if (const auto* whole = value.as_integer()) {
    out += std::to_string(whole->get());
  } else if (const auto* real = value.as_floating_point()) {
    out += fmt::format("{}", real->get());
  } else if (const auto* flag = value.as_boolean()) {
    out += flag->get() ? "true" : "false";
  } else if (const auto* list = value.as_array()) {
    out += '[';
    for (const toml::node& item : *list) {
      if (out.back() != '[') out += ", ";
      Append(out, item);
    }
    out += ']';
  } else if (const auto* table = value.as_table()) {
    out += '{';
    for (const auto& [key, item] : *table) {
      out += out.back() == '{' ? " " : ", ";
      out += std::string(key.str()) + " = ";
      Append(out, item);
    }
    out += table->empty() ? "}" : " }";
  } else {  // dates and times
    std::ostringstream stream;
    value.visit([&](const auto& node) {
      if constexpr (toml::is_value<decltype(node)>) stream << node.get();
    });
    out += stream.str();
  }
}

std::string ReadText(const Spot& spot, const std::string& accepted) {
  const auto* text = spot.node->as_string();
  if (text == nullptr) spot.RefuseExpected(accepted);
  return text->get();
}

std::vector<std::string> ReadTexts(const Spot& spot, const std::string& accepted) {
  const auto* list = spot.node->as_array();
  if (list == nullptr) spot.RefuseExpected(accepted);
  std::vector<std::string> out;
  for (const toml::node& item : *list) {
    const auto* text = item.as_string();
    if (text == nullptr) spot.RefuseExpected(accepted);
    out.push_back(text->get());
  }
  return out;
}

}  // namespace

void Spot::Refuse(const std::string& what) const {
  std::string place = fmt::format("{}:{}: [{}] {}", file, node->source().begin.line, section, key);
  throw Error(Code::kInvalidArgument, fmt::format("{} = {}: {}", place, ValueText(*node), what));
}

Spot Spot::Inside(std::string_view name, const toml::node& value) const {
  return {file, section + "." + key, std::string(name), &value};
}

std::filesystem::path Spot::Folder() const { return std::filesystem::absolute(file).parent_path(); }

void RefuseUnknown(const Spot& spot, const toml::key& key, const std::vector<std::string>& known) {
  throw Error(Code::kInvalidArgument,
              fmt::format("{}:{}: [{}] {} = {}: unknown key{}", spot.file, key.source().begin.line,
                          spot.section, key.str(), ValueText(*spot.node), Suggest(key.str(), known)));
}

std::string ValueText(const toml::node& value) {
  std::string text;
  Append(text, value);
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.size() > kShownValue) {
    size_t cut = kShownValue;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80)
      --cut;  // not inside a character
    text = text.substr(0, cut) + "…";
  }
  return text;
}

std::string TomlText(const nlohmann::json& value) {
  std::string text;
  if (value.is_array()) {
    for (const auto& item : value) text += (text.empty() ? "" : ", ") + TomlText(item);
    return "[" + text + "]";
  }
  if (value.is_object()) {
    for (const auto& [key, item] : value.items())
      text += (text.empty() ? " " : ", ") + key + " = " + TomlText(item);
    return "{" + text + (text.empty() ? "}" : " }");
  }
  return value.dump();
}

std::string Suggest(std::string_view name, const std::vector<std::string>& known) {
  const auto nearest = std::min_element(known.begin(), known.end(), [&](const auto& a, const auto& b) {
    return EditDistance(name, a) < EditDistance(name, b);
  });
  if (nearest != known.end() && EditDistance(name, *nearest) <= std::max<size_t>(2, name.size() / 3)) {
    return fmt::format(", did you mean {}?", *nearest);
  }
  return fmt::format(", expected {}", Joined(known));
}

std::string DurationText(std::chrono::milliseconds duration) {
  const int64_t count = duration.count();
  constexpr std::pair<int64_t, const char*> kUnits[] = {{3'600'000, "h"}, {60'000, "m"}, {1'000, "s"}};
  for (const auto& [unit, name] : kUnits) {
    if (count >= unit && count % unit == 0) return fmt::format("{}{}", count / unit, name);
  }
  return fmt::format("{}ms", count);
}

Kind<std::string> Text() {
  const std::string accepted = "a text in quotes";
  return {accepted, [accepted](const Spot& spot) { return ReadText(spot, accepted); }};
}

Kind<std::string> Name() {
  const std::string accepted = "a text in quotes that is not empty";
  return {accepted, [accepted](const Spot& spot) {
            std::string text = ReadText(spot, accepted);
            if (text.empty()) spot.RefuseExpected(accepted);
            return text;
          }};
}

Kind<std::string> OneOf(std::vector<std::string> words) {
  const std::string accepted = Joined(AllQuoted(words));
  return {accepted, [accepted, words = std::move(words)](const Spot& spot) {
            std::string text = ReadText(spot, accepted);
            if (std::find(words.begin(), words.end(), text) == words.end()) spot.RefuseExpected(accepted);
            return text;
          }};
}

Kind<std::string> QualityName() {
  const std::string accepted =
      "\"accuracy\", \"f1\", \"auc\", \"pr_auc\", \"ndcg@K\" (K from 1 to 9999) or \"rmse\"";
  return {accepted, [accepted](const Spot& spot) {
            std::string text = ReadText(spot, accepted);
            for (const char* name : {"accuracy", "f1", "auc", "pr_auc", "rmse"}) {
              if (text == name) return text;
            }
            const std::string depth = text.rfind("ndcg@", 0) == 0 ? text.substr(5) : "";
            const bool digits = depth.find_first_not_of("0123456789") == std::string::npos;
            if (depth.empty() || depth.size() > 4 || !digits || depth[0] == '0')
              spot.RefuseExpected(accepted);
            return text;
          }};
}

Kind<std::string> Address() {
  const std::string accepted = "\"HOST:PORT\" with a port from 0 to 65535, such as \"127.0.0.1:8000\"";
  return {accepted, [accepted](const Spot& spot) {
            std::string text = ReadText(spot, accepted);
            const size_t colon = text.rfind(':');
            if (colon == std::string::npos || colon == 0) spot.RefuseExpected(accepted);
            const std::string port = text.substr(colon + 1);
            const bool digits = !port.empty() && port.size() <= 5 &&
                                port.find_first_not_of("0123456789") == std::string::npos;
            if (!digits || std::stoi(port) > 65535) spot.RefuseExpected(accepted);
            return text;
          }};
}

Kind<std::string> Location() {
  const std::string accepted = "a path, glob or URI in quotes";
  return {accepted, [accepted](const Spot& spot) {
            std::string text = ReadText(spot, accepted);
            if (text.empty()) spot.RefuseExpected(accepted);
            return text.find("://") != std::string::npos ? text
                                                         : (spot.Folder() / text).lexically_normal().string();
          }};
}

Kind<std::filesystem::path> FolderPath() {
  const std::string accepted = "the path of a folder in quotes";
  return {accepted,
          [accepted](const Spot& spot) {
            const std::string text = ReadText(spot, accepted);
            if (text.empty()) spot.RefuseExpected(accepted);
            return (spot.Folder() / text).lexically_normal();
          },
          [](const std::filesystem::path& path) { return nlohmann::json(path.string()); }};
}

Kind<int64_t> Whole(int64_t low, int64_t high) {
  const std::string accepted =
      low == high ? fmt::format("{}", low) : fmt::format("a whole number from {} to {}", low, high);
  return {accepted, [=](const Spot& spot) {
            const auto* whole = spot.node->as_integer();
            if (whole == nullptr || whole->get() < low || whole->get() > high) spot.RefuseExpected(accepted);
            return whole->get();
          }};
}

Kind<uint64_t> Seed() {
  const Kind<int64_t> whole = Whole(0, INT64_MAX);
  return {"a whole number from 0 to 2^63 - 1",
          [whole](const Spot& spot) { return static_cast<uint64_t>(whole.read(spot)); }};
}

Kind<double> Real(double low, double high, bool low_included) {
  const std::string accepted = fmt::format("a number {} {} {} {}", low_included ? "from" : "above", low,
                                           low_included ? "to" : "and at most", high);
  return {accepted, [=](const Spot& spot) {
            const auto value = spot.node->is_number() ? spot.node->value<double>() : std::nullopt;
            const bool in_range = value && *value <= high && (low_included ? *value >= low : *value > low);
            if (!in_range) spot.RefuseExpected(accepted);
            return *value;
          }};
}

Kind<std::chrono::milliseconds> Duration(std::chrono::milliseconds low, std::chrono::milliseconds high) {
  const std::string accepted =
      fmt::format("a duration from {} to {} with its unit, such as \"250ms\", \"30s\", \"10m\" or \"2h\"",
                  DurationText(low), DurationText(high));
  return {accepted,
          [=](const Spot& spot) {
            const std::string text = ReadText(spot, accepted);
            std::chrono::milliseconds duration{-1};
            try {
              duration = ParseDuration(text);
            } catch (const Error&) {
              spot.RefuseExpected(accepted);
            }
            if (duration < low || duration > high) spot.RefuseExpected(accepted);
            return duration;
          },
          [](const std::chrono::milliseconds& duration) { return nlohmann::json(DurationText(duration)); }};
}

Kind<std::vector<std::string>> Words() {
  const std::string accepted = "a list of texts, such as [\"python\", \"train.py\"]";
  return {accepted, [accepted](const Spot& spot) { return ReadTexts(spot, accepted); }};
}

Kind<std::vector<std::string>> SomeOf(std::vector<std::string> words) {
  const std::string accepted =
      fmt::format("a list of {}, each at most once", Joined(AllQuoted(words), " and "));
  return {accepted, [accepted, words = std::move(words)](const Spot& spot) {
            std::vector<std::string> texts = ReadTexts(spot, accepted);
            for (const std::string& text : texts) {
              const bool known = std::find(words.begin(), words.end(), text) != words.end();
              if (!known || std::count(texts.begin(), texts.end(), text) != 1) spot.RefuseExpected(accepted);
            }
            return texts;
          }};
}

Kind<std::map<std::string, double>> Shares(std::vector<std::string> names) {
  const std::string accepted =
      fmt::format("a share above 0 for each of {}, summing to 1", Joined(names, " and "));
  return {accepted, [accepted, names = std::move(names)](const Spot& spot) {
            const auto* table = spot.node->as_table();
            if (table == nullptr) spot.RefuseExpected(accepted);
            const Kind<double> share = Real(0, 1, false);
            std::map<std::string, double> out;
            double sum = 0;
            for (const auto& [key, value] : *table) {
              const Spot inside = spot.Inside(key.str(), value);
              if (std::find(names.begin(), names.end(), key.str()) == names.end())
                RefuseUnknown(inside, key, names);
              sum += out[std::string(key.str())] = share.read(inside);
            }
            if (out.size() != names.size()) spot.RefuseExpected(accepted);
            if (std::fabs(sum - 1) > 1e-9)
              spot.Refuse(fmt::format("the shares sum to {:.6g}, expected {}", sum, accepted));
            return out;
          }};
}

}  // namespace strop::project
