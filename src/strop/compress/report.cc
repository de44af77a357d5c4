#include "strop/compress/report.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

namespace strop::compress {
namespace {

constexpr std::string_view kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .9em;border-bottom:1px solid "
    "#ddd;text-align:left}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.bar{background:#4a7fb5;height:.8em;"
    "display:inline-block}"
    ".float{color:#a33}";

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string Row(std::string_view name, const std::string& value) {
  return fmt::format("<tr><th>{}</th><td class=n>{}</td></tr>\n", name, value);
}

std::string LayerTable(const CompressResult& result) {
  double most = 0;
  for (const LayerResult& layer : result.layers) most = std::max(most, layer.sensitivity);
  std::string html =
      "<table><tr><th>layer</th><th>operator</th><th class=n>bits</th><th class=n>noise / "
      "signal</th><th></th></tr>\n";
  for (const LayerResult& layer : result.layers) {
    const double width = most > 0 ? layer.sensitivity / most * 12 : 0;
    html += fmt::format(
        "<tr{}><td>{}</td><td>{}</td><td class=n>{}</td><td class=n>{:.2e}</td>"
        "<td><span class=bar style=\"width:{:.2f}em\"></span></td></tr>\n",
        layer.bits == 32 ? " class=float" : "", Escaped(layer.layer), Escaped(layer.op), layer.bits,
        layer.sensitivity, width);
  }
  return html + "</table>\n";
}

std::string AttemptTable(const CompressResult& result) {
  std::string html = fmt::format(
      "<table><tr><th class=n>INT8 layers</th><th class=n>{}</th><th class=n>change</th><th class=n>95% "
      "interval</th></tr>\n",
      Escaped(result.metric));
  for (const Attempt& attempt : result.attempts) {
    html += fmt::format(
        "<tr><td class=n>{} of {}</td><td class=n>{:.4f}</td><td class=n>{:+.4f}</td><td class=n>{:+.4f} to "
        "{:+.4f}</td></tr>\n",
        result.layers.size() - attempt.float_layers.size(), result.layers.size(), attempt.quality.candidate,
        attempt.quality.gain, attempt.quality.interval.low, attempt.quality.interval.high);
  }
  return html + "</table>\n";
}

}  // namespace

std::string ReportHtml(const CompressResult& result, const ReportFacts& facts) {
  const data::PairedResult& quality = result.quality;
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=en><meta charset=utf-8><title>strop compress: "
      "{0}</title><style>{1}</style>\n"
      "<h1>{0}</h1>\n<table>\n",
      Escaped(facts.model), kStyle);
  html += Row("compressed model", Escaped(facts.output));
  html += Row(Escaped(result.metric) + " before", fmt::format("{:.4f}", quality.baseline));
  html += Row(Escaped(result.metric) + " after", fmt::format("{:.4f}", quality.candidate));
  html +=
      Row("95% interval of the change", fmt::format("{:+.4f} to {:+.4f} (limit {:+g})", quality.interval.low,
                                                    quality.interval.high, -facts.max_drop));
  html += Row("evaluation rows", fmt::format("{}", quality.rows));
  html += Row("calibration rows", fmt::format("{}", result.calibration_rows));
  html += Row("bytes", fmt::format("{} to {} ({:.2f}x smaller)", facts.bytes_before, facts.bytes_after,
                                   facts.bytes_after > 0 ? static_cast<double>(facts.bytes_before) /
                                                               static_cast<double>(facts.bytes_after)
                                                         : 0));
  html += Row(fmt::format("latency, batch {}, {} threads", facts.batch, facts.threads),
              fmt::format("{:.3f} ms to {:.3f} ms ({:.2f}x faster)", facts.latency.before * 1e3,
                          facts.latency.after * 1e3, facts.latency.speedup));
  html += Row("processor", Escaped(facts.cpu));
  html += "</table>\n<h2>Layers</h2>\n" + LayerTable(result) + "<h2>Attempts</h2>\n" + AttemptTable(result) +
          "</html>\n";
  return html;
}

}  // namespace strop::compress
