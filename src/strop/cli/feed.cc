#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/filesystem/localfs.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/base/file.h"
#include "strop/base/http_post.h"
#include "strop/base/topology.h"
#include "strop/base/trace.h"
#include "strop/cli/verb.h"
#include "strop/data/split.h"
#include "strop/data/table.h"
#include "strop/feed/loader.h"
#include "strop/feed/service.h"
#include "strop/feed/workers/placement.h"
#include "strop/feed/workers/probe.h"
#include "strop/feed/workers/throttle.h"

namespace {

using nlohmann::json;
using strop::Code;
using strop::Error;
using strop::cli::Console;
namespace feed = strop::feed;

// "NAME=VALUE" into its parts.
std::pair<std::string, std::string> Assignment(const std::string& text, const std::string& option) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    throw Error(Code::kInvalidArgument, fmt::format("{} is \"{}\": expected NAME=VALUE", option, text));
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

// probe

struct ProbeOptions {
  std::string uri;
  double seconds = 1;
  std::string machine;
  int workers = 4;
  int consumer_node = 0;
};

json PlacementJson(const feed::Placement& placement) {
  json out = {{"binds", placement.binds},   {"node", placement.node},     {"crossing", placement.crossing},
              {"reason", placement.reason}, {"chunks", placement.chunks}, {"readers", json::array()}};
  for (const auto& reader : placement.readers) {
    out["readers"].push_back({{"cpus", reader.cpus},
                              {"node", reader.node},
                              {"l3", reader.l3},
                              {"chunk_bytes", reader.chunk_bytes}});
  }
  return out;
}

// The plan for a machine that is only described.
int PlanFor(const ProbeOptions& options, Console& console) {
  const strop::Machine machine = strop::SyntheticMachine(options.machine);
  feed::PlacementRequest request;
  for (const auto& cpu : machine.cpus) request.cpus.push_back(cpu.id);
  request.workers = options.workers;
  request.consumer_node = options.consumer_node;
  const feed::Placement placement = feed::PlanPlacement(machine, request);
  console.Result({{"placement", PlacementJson(placement)}}, placement.Text());
  return 0;
}

int Probe(const ProbeOptions& options, Console& console) {
  if (!options.machine.empty()) return PlanFor(options, console);
  if (options.uri.empty()) throw CLI::RequiredError("uri");
  feed::ProbeOptions probe;
  probe.seconds = options.seconds;
  std::vector<feed::ProbeLevel> levels;
  const auto files = strop::data::ResolveFiles(options.uri);
  const feed::ProbeResult result = feed::ProbeStorage(files, probe, [&](const feed::ProbeLevel& level) {
    strop::cli::ThrowIfInterrupted();
    console.Say(fmt::format("{:3} readers  {:10.1f} MB/s", level.readers, level.bytes_per_second / 1e6));
  });
  json out = {{"levels", json::array()}, {"knee", result.knee}, {"cached", result.cached}};
  for (const auto& level : result.levels) {
    out["levels"].push_back({{"readers", level.readers}, {"bytes_per_second", level.bytes_per_second}});
  }
  const feed::Scaling& law = result.scaling;
  const feed::Placement placement = feed::PlanHere(result.knee);
  out["scaling"] = {{"lambda", law.lambda}, {"sigma", law.sigma}, {"kappa", law.kappa}, {"error", law.error}};
  out["reason"] = result.reason;
  out["placement"] = PlacementJson(placement);
  console.Result(
      out,
      fmt::format("fit: {}, off by {:.1f}%\n{}\nreason: {}\nknee: {} reader{} ({})", law.Text(),
                  100 * law.error, placement.Text(), result.reason, result.knee, result.knee == 1 ? "" : "s",
                  result.cached ? "of the page cache: the storage could not be told to read again"
                                : "of the storage: the page cache was emptied of these files"));
  return 0;
}

// bench

struct BenchOptions {
  feed::LoaderOptions loader;
  std::vector<std::string> uris;
  int epochs = 3;
  double seconds = 0;
  double warm_up = 0;
  std::optional<double> bandwidth, latency;  // MB/s and ms
  std::string trace, otlp;
};

// What was read since `begin`.
struct Amount {
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
  int64_t rows = 0;
  int64_t bytes = 0;

  void Add(const feed::Batch& batch) {
    rows += batch.rows;
    for (const auto& [name, tensor] : batch.tensors) bytes += static_cast<int64_t>(tensor.bytes());
  }
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
};

// Whole epochs, or for so many seconds after those that warm up.
Amount ReadAll(feed::Loader& loader, const BenchOptions& options, Console& console) {
  const auto next = [&] {
    while (!loader.Ready(std::chrono::milliseconds(100))) strop::cli::ThrowIfInterrupted();
    return loader.Next();
  };
  const bool timed = options.seconds > 0;
  Amount amount;
  bool warming = options.warm_up > 0;
  for (int epoch = 0; timed || epoch < options.epochs; ++epoch) {
    int64_t done = 0;
    while (const auto batch = next()) {
      strop::cli::ThrowIfInterrupted();
      amount.Add(*batch);
      const std::string label = timed ? fmt::format("epoch {}", epoch + 1)
                                      : fmt::format("epoch {} of {}", epoch + 1, options.epochs);
      console.Progress(label, ++done, loader.batches());
      if (warming && amount.seconds() >= options.warm_up) {
        amount = {};
        warming = false;
      }
      if (timed && !warming && amount.seconds() >= options.seconds) return amount;
    }
  }
  return amount;
}

// The local file system with another's speed.
feed::FileSystem EmulatedStorage(const BenchOptions& options) {
  const feed::ThrottleOptions throttle{options.bandwidth.value_or(0) * 1e6,
                                       options.latency.value_or(0) * 1e-3};
  return feed::MakeThrottledFileSystem(std::make_shared<arrow::fs::LocalFileSystem>(),
                                       std::make_shared<feed::Throttle>(throttle));
}

json StageJson(const feed::LoaderStats::Stage& stage) {
  return {{"p50", stage.p50}, {"p95", stage.p95}, {"p99", stage.p99}};
}

int Bench(const BenchOptions& options, Console& console) {
  feed::LoaderOptions loading = options.loader;
  loading.sources = {{options.uris}};
  loading.interrupt = strop::cli::ThrowIfInterrupted;
  if (options.bandwidth || options.latency) loading.file_system = EmulatedStorage(options);
  const auto loader = feed::Loader::Open(loading);
  const Amount amount = ReadAll(*loader, options, console);
  console.EndProgress();
  const double seconds = amount.seconds();
  if (!options.trace.empty())
    strop::WriteFileAtomically(options.trace, strop::PerfettoJson(loader->spans(), "strop feed"));
  if (!options.otlp.empty()) strop::PostJson(options.otlp, strop::OtlpJson(loader->spans(), "strop feed"));
  const feed::LoaderStats stats = loader->stats();
  const json out = {{"rows", amount.rows},
                    {"seconds", seconds},
                    {"rows_per_second", static_cast<double>(amount.rows) / seconds},
                    {"bytes_per_second", static_cast<double>(amount.bytes) / seconds},
                    {"read", StageJson(stats.read)},
                    {"decode", StageJson(stats.decode)},
                    {"copy", StageJson(stats.copy)},
                    {"wait", StageJson(stats.wait)},
                    {"waiting_share", stats.waiting_share},
                    {"skipped_chunks", stats.skipped_chunks},
                    {"nans", stats.nans},
                    {"shuffle_quality", stats.shuffle_quality},
                    {"workers", stats.workers},
                    {"workers_reason", stats.workers_reason},
                    {"settled_seconds", stats.settled_seconds},
                    {"verdict", stats.verdict}};
  std::string text =
      fmt::format("{:.0f} rows/s, {:.1f} MB/s ({} rows in {:.2f} s)\n{:8}{:>12}{:>12}{:>12}\n",
                  out["rows_per_second"].get<double>(), out["bytes_per_second"].get<double>() / 1e6,
                  amount.rows, seconds, "", "p50", "p95", "p99");
  const std::pair<const char*, feed::LoaderStats::Stage> stages[] = {
      {"read", stats.read}, {"decode", stats.decode}, {"copy", stats.copy}, {"wait", stats.wait}};
  for (const auto& [name, stage] : stages) {
    text += fmt::format("{:8}{:9.3f} ms{:9.3f} ms{:9.3f} ms\n", name, 1e3 * stage.p50, 1e3 * stage.p95,
                        1e3 * stage.p99);
  }
  text += fmt::format("workers {}{}{}\n", stats.workers, stats.workers_reason.empty() ? "" : ": ",
                      stats.workers_reason);
  for (const auto& [name, count] : stats.nans) text += fmt::format("column {} holds {} NaN\n", name, count);
  if (options.loader.shuffle)
    text += fmt::format("shuffle quality {:.2f} of a full shuffle\n", stats.shuffle_quality);
  console.Result(out, text + stats.verdict);
  return 0;
}

// serve

struct ServeOptions {
  std::vector<std::string> uris;
  std::string location = "grpc://127.0.0.1:8815";
};

int Serve(const ServeOptions& options, Console& console) {
  std::map<std::string, std::string> sources;
  for (const std::string& uri : options.uris) {
    const size_t equals = uri.find('=');
    const bool named = equals != std::string::npos && uri.find('/') > equals;
    const std::string name = named ? uri.substr(0, equals) : feed::SourceName(uri);
    if (!sources.emplace(name, named ? uri.substr(equals + 1) : uri).second) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("two sources are called \"{}\": name them by NAME=URI", name));
    }
  }
  const auto service = feed::Serve(sources, options.location);
  json out = {{"location", service->location()}, {"sources", json::array()}, {"pid", getpid()}};
  std::string text;
  for (const auto& [name, uri] : sources) {
    out["sources"].push_back(name);
    text += fmt::format("{}/{}\n", service->location(), name);
  }
  console.Result(out, text + "Ctrl-C ends it");
  fflush(stdout);
  while (!strop::cli::Interrupted()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  service->Stop();
  return 0;
}

// convert

struct ConvertOptions {
  std::string uri;
  std::string out;
  std::vector<std::string> shapes, dtypes, roles, columns;
  std::string split;
  uint64_t seed = 0;
  int64_t row_group_bytes = strop::data::ParquetOptions{}.row_group_bytes;
  std::string compression;
};

strop::Shape ParseShape(const std::string& text, const std::string& column) {
  strop::Shape shape;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, end - at);
    if (part.empty() || part.size() > 9 || part.find_first_not_of("0123456789") != std::string::npos ||
        std::stol(part) == 0) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("--shape {}={}: expected sizes such as 1,28,28", column, text));
    }
    shape.push_back(std::stol(part));
    at = end + 1;
  }
  return shape;
}

// Bytes of varying length that happen to be of one length: as fixed-size binary.
std::shared_ptr<arrow::ChunkedArray> FixBinary(const arrow::ChunkedArray& values, const std::string& name,
                                               int64_t width) {
  arrow::FixedSizeBinaryBuilder builder(arrow::fixed_size_binary(static_cast<int32_t>(width)));
  int64_t row = 0;
  for (const auto& chunk : values.chunks()) {
    const auto& array = static_cast<const arrow::BinaryArray&>(*chunk);
    for (int64_t i = 0; i < array.length(); ++i, ++row) {
      const auto bytes = array.IsNull(i) ? std::string_view() : array.GetView(i);
      if (static_cast<int64_t>(bytes.size()) != width) {
        throw Error(Code::kInvalidArgument,
                    fmt::format("column {} has {} bytes in row {}: its shape and dtype want {}", name,
                                bytes.size(), row, width));
      }
      strop::data::Check(builder.Append(bytes), "converting column " + name);
    }
  }
  std::shared_ptr<arrow::Array> array;
  strop::data::Check(builder.Finish(&array), "converting column " + name);
  return std::make_shared<arrow::ChunkedArray>(array);
}

std::shared_ptr<arrow::Table> Annotate(std::shared_ptr<arrow::Table> table, const ConvertOptions& options) {
  struct Change {
    std::string shape, dtype, role;
  };
  std::map<std::string, Change> changes;
  for (const auto& text : options.shapes)
    changes[Assignment(text, "--shape").first].shape = Assignment(text, "--shape").second;
  for (const auto& text : options.dtypes)
    changes[Assignment(text, "--dtype").first].dtype = Assignment(text, "--dtype").second;
  for (const auto& text : options.roles)
    changes[Assignment(text, "--role").first].role = Assignment(text, "--role").second;
  for (const auto& [name, change] : changes) {
    const int index = table->schema()->GetFieldIndex(name);
    if (index < 0) {
      throw Error(Code::kInvalidArgument, fmt::format("{} has no column \"{}\"; its columns: {}", options.uri,
                                                      name, fmt::join(table->schema()->field_names(), ", ")));
    }
    auto field = table->schema()->field(index);
    auto values = table->column(index);
    strop::data::Column column;
    const bool bytes = field->type()->id() == arrow::Type::BINARY;
    if (bytes) {
      column = {name, strop::data::Role::kNone, strop::DType::kU8, {}};
      if (change.shape.empty())
        throw Error(Code::kInvalidArgument,
                    fmt::format("column {} is binary: give its --shape {}=…", name, name));
    } else {
      column = strop::data::DescribeColumn(*field);
    }
    if (!change.dtype.empty()) column.dtype = strop::ParseDType(change.dtype);
    if (!change.shape.empty()) column.shape = ParseShape(change.shape, name);
    if (!change.role.empty()) column.role = strop::data::ParseRole(change.role);
    if (bytes) {
      values = FixBinary(*values, name, static_cast<int64_t>(column.row_bytes()));
      field = arrow::field(name, values->type(), false, field->metadata());
    }
    field = strop::data::AnnotateField(field, column);
    strop::data::DescribeColumn(*field);  // throws what contradicts
    auto changed = table->SetColumn(index, field, values);
    strop::data::Check(changed.status(), "converting column " + name);
    table = *changed;
  }
  return table;
}

int Convert(const ConvertOptions& options, Console& console) {
  auto table = Annotate(strop::data::ReadTable(options.uri, options.columns), options);
  strop::data::ParquetOptions parquet;
  parquet.row_group_bytes = options.row_group_bytes;
  if (!options.compression.empty()) parquet.compression = options.compression;
  if (std::filesystem::path(options.out).extension() == ".arrow") {
    if (!options.compression.empty() && options.compression != "none") {
      throw Error(
          Code::kInvalidArgument,
          fmt::format(
              "--compression {} with {}: Arrow IPC is written plain, so that its rows can be read one by "
              "one; compressed files are Parquet",
              options.compression, options.out));
    }
    strop::data::WriteArrow(*table, options.out, options.row_group_bytes);
  } else {
    strop::data::WriteParquet(*table, options.out, parquet);
  }
  const int64_t rows = table->num_rows();
  json out = {{"file", options.out}, {"rows", rows}, {"splits", json::object()}};
  std::string text = fmt::format("{}: {} rows", options.out, rows);
  table.reset();
  if (!options.split.empty()) {
    std::map<std::string, double> shares;
    for (size_t at = 0; at < options.split.size();) {
      const size_t end = std::min(options.split.find(',', at), options.split.size());
      const auto [name, share] = Assignment(options.split.substr(at, end - at), "--split");
      char* stop = nullptr;
      shares[name] = std::strtod(share.c_str(), &stop);
      if (*stop != '\0')
        throw Error(Code::kInvalidArgument,
                    fmt::format("--split {}={}: expected a share such as 0.8", name, share));
      at = end + 1;
    }
    const auto folder = std::filesystem::path(options.out).replace_extension();
    for (const auto& [name, file] : strop::data::WriteSplits(options.out, shares, options.seed, folder)) {
      out["splits"][name] = file.string();
      text += fmt::format("\n{}: {}", name, file.string());
    }
  }
  console.Result(out, text);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  ProbeOptions probe;
  BenchOptions bench;
  ServeOptions serve;
  ConvertOptions convert;
  CLI::App* chosen = nullptr;
  const strop::cli::VerbInfo info{
      "feed", "reads rows: how fast the storage and the loader are, to Parquet, over the network",
      "strop feed convert raw.parquet train.parquet --shape image=1,28,28 --role image=input --role "
      "label=label\n"
      "strop feed bench train.parquet --shuffle\n"
      "strop feed probe 'train/*.parquet'\n"
      "strop feed serve train.parquet --at grpc://0.0.0.0:8815"};
  return strop::cli::RunVerb(
      argc, argv, info,
      [&](CLI::App& app) {
        app.require_subcommand(1);
        app.fallthrough();  // --json after the sub-command, too

        auto* p = app.add_subcommand(
            "probe", "sequential read speed by the number of readers, and where more stop helping");
        p->add_option("uri", probe.uri, "a path or a glob");
        p->add_option("--machine", probe.machine,
                      "only plan, for a machine in hwloc's synthetic notation, as \"package:2 numa:1 l3:1 "
                      "core:8 pu:2\"");
        p->add_option("--workers", probe.workers, "readers to plan for with --machine")
            ->check(CLI::PositiveNumber);
        p->add_option("--consumer-node", probe.consumer_node, "NUMA node of the consumer with --machine");
        p->add_option("--seconds", probe.seconds, "spent at each number of readers")
            ->check(CLI::Range(0.01, 60.0));

        auto* b = app.add_subcommand("bench", "the loader's speed, its stages and what bounds it");
        b->add_option("uri", bench.uris, "paths, globs or one grpc://HOST:PORT/NAME")->required();
        b->add_option("--batch-size", bench.loader.batch_size, "rows a batch");
        b->add_flag("--shuffle", bench.loader.shuffle, "rows in another order each epoch");
        b->add_option("--order", bench.loader.order,
                      "how far the shuffle reaches: block, or global (all rows)")
            ->transform(CLI::CheckedTransformer(std::map<std::string, feed::Order>{
                {"block", feed::Order::kBlock}, {"global", feed::Order::kGlobal}}));
        b->add_option("--seed", bench.loader.seed, "of the shuffle");
        b->add_option("--window", bench.loader.window, "row groups shuffled together");
        b->add_option("--workers", bench.loader.workers, "reader threads; 0: by usable CPUs");
        b->add_option("--prefetch", bench.loader.prefetch, "batches ready ahead; 0: two");
        b->add_option("--on-error", bench.loader.on_error,
                      "what to do with a row group that cannot be read: stop, or skip (another stands in)")
            ->transform(CLI::CheckedTransformer(std::map<std::string, feed::OnError>{
                {"stop", feed::OnError::kStop}, {"skip", feed::OnError::kSkip}}));
        b->add_option("--columns", bench.loader.columns, "all with a dense form unless given")
            ->delimiter(',');
        b->add_option("--trace", bench.trace,
                      "a file for the spans of the traced batches, for ui.perfetto.dev");
        b->add_option("--otlp", bench.otlp, "a collector for them, as http://127.0.0.1:4318/v1/traces");
        b->add_option("--trace-share", bench.loader.trace_share, "of the batches that are traced")
            ->check(CLI::Range(0.0, 1.0))
            ->capture_default_str();
        b->add_option("--epochs", bench.epochs, "passes over the rows")->check(CLI::PositiveNumber);
        b->add_option("--seconds", bench.seconds, "read for so long instead")->check(CLI::PositiveNumber);
        b->add_option("--warm-up", bench.warm_up, "seconds before counting begins")
            ->check(CLI::PositiveNumber);
        b->add_option("--bandwidth", bench.bandwidth, "emulate a storage of so many MB/s; 0: no cap")
            ->check(CLI::NonNegativeNumber);
        b->add_option("--latency", bench.latency,
                      "emulate a storage of so many ms before each read's first byte")
            ->check(CLI::NonNegativeNumber);

        auto* s = app.add_subcommand("serve", "an Arrow Flight service of the rows");
        s->add_option("uri", serve.uris, "paths or globs, each as URI or NAME=URI")->required();
        s->add_option("--at", serve.location, "grpc://HOST:PORT; port 0: any free one");

        auto* c = app.add_subcommand(
            "convert",
            "Parquet or Arrow IPC to Parquet, or to Arrow IPC, with row groups that fit a reader's cache");
        c->add_option("uri", convert.uri, "a path or a glob")->required();
        c->add_option("out", convert.out, "the file to write: Parquet, or Arrow IPC when it ends in .arrow")
            ->required();
        c->add_option("--columns", convert.columns, "all unless given")->delimiter(',');
        c->add_option("--shape", convert.shapes, "COLUMN=1,28,28: of one row");
        c->add_option("--dtype", convert.dtypes, "COLUMN=uint8: what the bytes are");
        c->add_option("--role", convert.roles, "COLUMN=input, label, id, time or split");
        c->add_option("--split", convert.split,
                      "train=0.8,test=0.2: also deal the rows into OUT without .parquet/NAME.parquet");
        c->add_option("--seed", convert.seed, "of the split");
        c->add_option("--row-group-bytes", convert.row_group_bytes, "decoded bytes of a row group");
        c->add_option("--compression", convert.compression, "none, lz4, snappy or zstd");
        for (auto* sub : app.get_subcommands({})) sub->callback([&chosen, sub] { chosen = sub; });
      },
      [&](Console& console) {
        const std::string verb = chosen->get_name();
        if (verb == "probe") return Probe(probe, console);
        if (verb == "bench") return Bench(bench, console);
        if (verb == "serve") return Serve(serve, console);
        return Convert(convert, console);
      });
}
