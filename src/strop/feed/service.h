#pragma once

#include <map>
#include <memory>
#include <string>

#include "strop/base/api.h"

namespace strop::feed {

// A running Arrow Flight service. Thread safe; destroying it stops it.
class STROP_API Service {
 public:
  virtual ~Service();
  virtual std::string location() const = 0;  // grpc://127.0.0.1:PORT, with the port that was taken
  // No new streams; those under way end within a second. May be called twice.
  virtual void Stop() = 0;
};

// Serves sources by name (docs/feed.md, "The service"). `location` is grpc://HOST:PORT, port 0 for any free
// one. Throws what OpenSource throws, kInvalidArgument for another location, kUnavailable when the port is
// taken, kFailedPrecondition when Flight cannot be loaded.
STROP_API std::unique_ptr<Service> Serve(const std::map<std::string, std::string>& sources,
                                         const std::string& location);

// What a source is called unless told: "train" for train.parquet, and for train/*.parquet.
STROP_API std::string SourceName(const std::string& uri);

}  // namespace strop::feed
