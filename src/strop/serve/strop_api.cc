#include "strop/serve/strop_api.h"

#include <charconv>
#include <chrono>
#include <filesystem>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "strop/base/error.h"
#include "strop/store/database.h"
#include "strop/watch/label_queue.h"

namespace strop::serve {
namespace {

using Json = nlohmann::json;

HttpResponse Reply(const Json& body) {
  HttpResponse response;
  response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return response;
}

Json ParseBody(const std::string& body) {
  Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) throw Error(Code::kInvalidArgument, "the body is not JSON");
  return json;
}

std::string Text(const Json& object, const char* key, const char* what) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (found == object.end() || !found->is_string() || found->get_ref<const std::string&>().empty()) {
    throw Error(Code::kInvalidArgument, fmt::format("{} wants the text \"{}\"", what, key));
  }
  return found->get<std::string>();
}

watch::Label ParseLabel(const Json& object) {
  watch::Label out;
  out.request_id = Text(object, "request_id", "a label");
  const auto label = object.find("label");
  if (label == object.end()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("the label of request \"{}\" lacks \"label\"", out.request_id));
  }
  if (label->is_number_integer() && !(label->is_number_unsigned() && label->get<uint64_t>() > INT64_MAX)) {
    out.label = label->get<int64_t>();
  } else if (label->is_number_float()) {
    out.label = label->get<double>();
  } else if (label->is_string()) {
    out.label = label->get<std::string>();
  } else {
    throw Error(Code::kInvalidArgument,
                fmt::format("the label of request \"{}\" is neither a number nor a text", out.request_id));
  }
  return out;
}

int64_t Limit(const HttpRequest& request) {
  const auto found = request.query.find("limit");
  if (found == request.query.end()) return 100;
  const std::string& text = found->second;
  int64_t limit = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || limit < 1 || limit > 100'000) {
    throw Error(Code::kInvalidArgument,
                fmt::format("limit = \"{}\": expected 1 to 100000", text.substr(0, 40)));
  }
  return limit;
}

HttpResponse WrongMethod(const HttpRequest& request, const std::string& allowed) {
  HttpResponse response =
      ErrorResponse(405, fmt::format("method {} is not taken here: use {}", request.method, allowed));
  response.headers.emplace_back("Allow", allowed);
  return response;
}

}  // namespace

struct StropApi::Impl {
  Impl(const std::string& store, const ModelRepository* m, Observer* o)
      : database(store::Database::Open(store)), labels(&database), models(m), observer(o) {
    database.Migrate(ServeMigrations());
  }

  HttpResponse PutLabels(const HttpRequest& request) {
    const Json body = ParseBody(request.body);
    std::vector<watch::Label> given;
    if (body.is_array()) {
      for (const Json& label : body) given.push_back(ParseLabel(label));
    } else {
      given.push_back(ParseLabel(body));
    }
    observer->Flush();  // the answer that a label belongs to may have been given just now
    labels.PutLabels(given);
    return Reply({{"labelled", given.size()}});
  }

  HttpResponse Wanted(const HttpRequest& request) {
    observer->Flush();
    Json out = Json::array();
    for (const watch::Wish& wish : labels.Wanted(Limit(request))) {
      out.push_back({{"request_id", wish.request_id}, {"reason", watch::ReasonName(wish.reason)}});
    }
    return Reply(out);
  }

  HttpResponse Offer(const HttpRequest& request) {
    const Json body = ParseBody(request.body);
    const std::string model = Text(body, "model", "a candidate");
    const std::filesystem::path path = Text(body, "path", "a candidate");
    models->Find(model);
    std::error_code ignored;
    if (!path.is_absolute() || !std::filesystem::is_regular_file(path, ignored)) {
      throw Error(
          Code::kInvalidArgument,
          fmt::format("candidate \"{}\": expected the absolute path of an ONNX file on the server's machine",
                      path.string().substr(0, 200)));
    }
    int64_t id = 0;
    database.Transaction([&] {
      const double now =
          std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
      id = std::get<int64_t>(
          *database.Scalar("INSERT INTO candidates (model, path, state, evidence_json, time) "
                           "VALUES (?, ?, 'offered', '{}', ?) RETURNING id",
                           {model, path.string(), now}));
      database.Log("serve", "candidate", Json{{"id", id}, {"model", model}, {"path", path.string()}}.dump());
    });
    return Reply({{"id", id}, {"state", "offered"}});
  }

  HttpResponse List(const HttpRequest& request) {
    Json out = Json::array();
    database.Query(
        "SELECT id, model, path, state, evidence_json, time FROM candidates ORDER BY id DESC LIMIT ?",
        {Limit(request)}, [&](const store::Row& row) {
          Json evidence = Json::parse(row.Text(4), nullptr, false);
          if (evidence.is_discarded()) evidence = row.Text(4);
          out.push_back({{"id", row.Int(0)},
                         {"model", row.Text(1)},
                         {"path", row.Text(2)},
                         {"state", row.Text(3)},
                         {"evidence", std::move(evidence)},
                         {"time", row.Real(5)}});
        });
    return Reply(out);
  }

  store::Database database;
  watch::LabelQueue labels;
  const ModelRepository* models;
  Observer* observer;
};

StropApi::StropApi(const std::string& store, const ModelRepository* models, Observer* observer)
    : impl_(std::make_unique<Impl>(store, models, observer)) {}

StropApi::~StropApi() = default;

HttpResponse StropApi::Handle(const HttpRequest& request) {
  const auto& path = request.path;  // strop, v1, labels or candidates, …
  const bool get = request.method == "GET" || request.method == "HEAD";
  const bool post = request.method == "POST";
  if (path[2] == "labels" && path.size() == 3)
    return post ? impl_->PutLabels(request) : WrongMethod(request, "POST");
  if (path[2] == "labels" && path.size() == 4 && path[3] == "wanted") {
    return get ? impl_->Wanted(request) : WrongMethod(request, "GET");
  }
  if (path[2] == "candidates" && path.size() == 3) {
    if (post) return impl_->Offer(request);
    return get ? impl_->List(request) : WrongMethod(request, "GET, POST");
  }
  throw Error(Code::kNotFound, fmt::format("nothing answers at /strop/v1/{}/{}: see docs/serve.md", path[2],
                                           path.size() > 3 ? path[3].substr(0, 80) : ""));
}

}  // namespace strop::serve
