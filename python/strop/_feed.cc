#include <chrono>
#include <memory>
#include <mutex>

#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "bind.h"
#include "strop/base/file.h"
#include "strop/base/http_post.h"
#include "strop/base/trace.h"
#include "strop/feed/arrow_export.h"
#include "strop/feed/loader.h"
#include "strop/feed/service.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using strop::Code;
using strop::Error;
using namespace strop::feed;

// An Arrow PyCapsule that releases what nobody took.
template <class T>
nb::object ArrowCapsule(T* value, const char* name) {
  return nb::steal(PyCapsule_New(value, name, [](PyObject* capsule) {
    auto* held = static_cast<T*>(PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule)));
    if (held->release) held->release(held);
    delete held;
  }));
}

// A batch for whoever speaks the Arrow PyCapsule interface, such as pyarrow.record_batch.
class ArrowBatch {
 public:
  ArrowBatch(Batch batch, std::vector<std::string> columns)
      : batch_(std::move(batch)), columns_(std::move(columns)) {}
  nb::tuple Export() const {
    auto array = std::make_unique<ArrowArray>();
    auto schema = std::make_unique<ArrowSchema>();
    ExportArrow(batch_, columns_, array.get(), schema.get());
    nb::object schema_capsule = ArrowCapsule(schema.release(), "arrow_schema");
    return nb::make_tuple(schema_capsule, ArrowCapsule(array.release(), "arrow_array"));
  }

 private:
  Batch batch_;
  std::vector<std::string> columns_;
};

// The C++ loader for Python: one iterating thread at a time, and waiting that lets other threads and Ctrl-C
// in.
class Core {
 public:
  explicit Core(LoaderOptions options) {
    options.interrupt = [] {
      const nb::gil_scoped_acquire gil;
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
    };
    nb::gil_scoped_release release;
    loader_ = Loader::Open(options);
  }
  // Threads are joined, so the interpreter must not be held meanwhile.
  ~Core() {
    nb::gil_scoped_release release;
    loader_.reset();
  }

  // `format`: torch (with `convert` = torch.from_dlpack), numpy, dlpack or arrow; None at the epoch's end.
  nb::object Next(const std::string& format, nb::handle convert) {
    std::optional<Batch> batch = Wait();
    if (!batch) return nb::none();
    const auto& columns = loader_->columns();
    if (format == "arrow") return nb::cast(ArrowBatch(std::move(*batch), columns));
    nb::dict out;
    for (const std::string& name : columns) {
      const strop::Tensor& tensor = batch->tensors.at(name);
      const nb::str key(name.c_str(), name.size());
      if (format == "torch") {
        out[key] = convert(strop::bind::ToArray<nb::no_framework>(tensor));
      } else if (format == "numpy") {
        out[key] = strop::bind::ToNumpy(tensor);
      } else {
        out[key] = strop::bind::ToDlpack(tensor);
      }
    }
    return out;
  }

  int64_t rows() const { return loader_->rows(); }
  int64_t batches() const { return loader_->batches(); }
  std::vector<std::string> columns() const { return loader_->columns(); }
  uint64_t epoch() const { return loader_->state().epoch; }
  int64_t position() const { return loader_->state().now.batches; }
  void SetTrace(double share) { loader_->SetTraceShare(share); }
  void SetEpoch(uint64_t epoch) { loader_->SetEpoch(epoch); }
  std::string State() const { return loader_->state().ToJson(); }
  void Restore(const std::string& json) { loader_->Restore(LoaderState::FromJson(json)); }

  void SaveTrace(const nb::bytes& path) const {
    strop::WriteFileAtomically(std::string(path.c_str(), path.size()),
                               strop::PerfettoJson(loader_->spans(), "strop feed"));
  }
  void SendTrace(const std::string& url) const {
    const std::string traces = strop::OtlpJson(loader_->spans(), "strop feed");
    nb::gil_scoped_release release;
    strop::PostJson(url, traces);
  }

  nb::dict Stats() const {
    const LoaderStats stats = loader_->stats();
    nb::dict out;
    const auto stage = [&](const char* name, const LoaderStats::Stage& s) {
      nb::dict times;
      times["p50"] = s.p50;
      times["p95"] = s.p95;
      times["p99"] = s.p99;
      out[name] = times;
    };
    stage("read", stats.read);
    stage("decode", stats.decode);
    stage("copy", stats.copy);
    stage("wait", stats.wait);
    out["waiting_share"] = stats.waiting_share;
    out["rows_per_second"] = stats.rows_per_second;
    out["rows"] = stats.rows;
    out["skipped_chunks"] = stats.skipped_chunks;
    nb::dict nans;
    for (const auto& [name, count] : stats.nans) nans[name.c_str()] = count;
    out["nans"] = nans;
    out["workers"] = stats.workers;
    out["workers_reason"] = stats.workers_reason;
    out["settled_seconds"] = stats.settled_seconds;
    out["shuffle_quality"] = stats.shuffle_quality;
    out["verdict"] = stats.verdict;
    return out;
  }

 private:
  std::optional<Batch> Wait() {
    while (true) {
      {
        nb::gil_scoped_release release;
        std::unique_lock lock(mutex_, std::try_to_lock);
        if (!lock) {
          throw Error(Code::kFailedPrecondition,
                      "two threads iterate one loader: give each its own, by rank and world_size");
        }
        if (loader_->Ready(std::chrono::milliseconds(100))) return loader_->Next();
      }
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }
  }

  std::unique_ptr<Loader> loader_;
  std::mutex mutex_;
};

template <class T>
T Choose(const std::string& value, const char* name,
         std::initializer_list<std::pair<const char*, T>> choices) {
  std::string accepted;
  for (const auto& [text, choice] : choices) {
    if (value == text) return choice;
    accepted += accepted.empty() ? text : std::string(", ") + text;
  }
  throw Error(Code::kInvalidArgument, fmt::format("{} is \"{}\": expected one of {}", name, value, accepted));
}

}  // namespace

NB_MODULE(_feed, m) {
  strop::bind::RegisterErrors(m);

  nb::class_<ArrowBatch>(m, "ArrowBatch")
      .def(
          "__arrow_c_array__", [](const ArrowBatch& self, nb::handle) { return self.Export(); },
          "requested_schema"_a = nb::none());

  nb::class_<Core>(m, "Core")
      .def(
          "__init__",
          [](Core* self, const std::vector<std::tuple<std::vector<nb::bytes>, double, std::string>>& sources,
             const std::vector<std::string>& columns, int64_t batch_size, bool shuffle,
             const std::string& order, uint64_t seed, int window, int rank, int world_size,
             const std::string& uneven, int workers, int prefetch, bool drop_last,
             const std::string& on_error, int gpu, double trace) {
            LoaderOptions options;
            for (const auto& [uris, weight, transforms] : sources) {
              options.sources.push_back({{}, weight, transforms});
              for (const nb::bytes& uri : uris)
                options.sources.back().uris.emplace_back(uri.c_str(), uri.size());
            }
            options.columns = columns;
            options.batch_size = batch_size;
            options.shuffle = shuffle;
            options.order =
                Choose<Order>(order, "order", {{"block", Order::kBlock}, {"global", Order::kGlobal}});
            options.seed = seed;
            options.window = window;
            options.rank = rank;
            options.world_size = world_size;
            options.uneven = Choose<Uneven>(
                uneven, "uneven",
                {{"repeat", Uneven::kRepeat}, {"ragged", Uneven::kRagged}, {"drop", Uneven::kDrop}});
            options.workers = workers;
            options.gpu = gpu;
            options.trace_share = trace;
            options.prefetch = prefetch;
            options.drop_last = drop_last;
            options.on_error =
                Choose<OnError>(on_error, "on_error", {{"stop", OnError::kStop}, {"skip", OnError::kSkip}});
            new (self) Core(options);
          },
          "sources"_a, "columns"_a, "batch_size"_a, "shuffle"_a, "order"_a, "seed"_a, "window"_a, "rank"_a,
          "world_size"_a, "uneven"_a, "workers"_a, "prefetch"_a, "drop_last"_a, "on_error"_a, "gpu"_a,
          "trace"_a)
      .def("next", &Core::Next, "format"_a, "convert"_a.none())
      .def("set_epoch", &Core::SetEpoch)
      .def("state", &Core::State)
      .def("restore", &Core::Restore)
      .def("stats", &Core::Stats)
      .def("set_trace", &Core::SetTrace, "share"_a)
      .def("save_trace", &Core::SaveTrace, "path"_a)
      .def("send_trace", &Core::SendTrace, "url"_a)
      .def_prop_ro("rows", &Core::rows)
      .def_prop_ro("batches", &Core::batches)
      .def_prop_ro("columns", &Core::columns)
      .def_prop_ro("epoch", &Core::epoch)
      .def_prop_ro("position", &Core::position);

  nb::class_<Service>(m, "Service", "A running Flight service; a context manager.")
      .def_prop_ro("location", &Service::location)
      .def("stop", &Service::Stop, nb::call_guard<nb::gil_scoped_release>())
      .def("__enter__", [](nb::object self) { return self; })
      .def(
          "__exit__",
          [](Service& self, nb::handle, nb::handle, nb::handle) {
            nb::gil_scoped_release release;
            self.Stop();
          },
          "type"_a.none(), "value"_a.none(), "traceback"_a.none());
  m.def("serve", &Serve, "sources"_a, "location"_a, nb::call_guard<nb::gil_scoped_release>());
  m.def("source_name", &SourceName);
}
