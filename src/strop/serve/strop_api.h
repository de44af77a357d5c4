#pragma once

#include <memory>
#include <string>

#include "strop/base/api.h"
#include "strop/serve/http.h"
#include "strop/serve/models.h"
#include "strop/serve/observer.h"

namespace strop::serve {

// What Strop adds beside the protocol, over the store:
//   POST /strop/v1/labels      {"request_id", "label"} or a list of them -> {"labelled": n}; all or none
//   GET  /strop/v1/labels/wanted?limit=N                                 -> [{"request_id", "reason"}]
//   POST /strop/v1/candidates  {"model", "path"}                         -> {"id", "state": "offered"}
//   GET  /strop/v1/candidates                                            -> [{id, model, path, state,
//   evidence, time}]
// What is answered 200 is committed. Used by one thread.
class STROP_API StropApi {
 public:
  StropApi(const std::string& store, const ModelRepository* models, Observer* observer);
  ~StropApi();

  // Throws kNotFound for another address or an unknown request id or model, kInvalidArgument for a bad body.
  HttpResponse Handle(const HttpRequest& request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace strop::serve
