#include "strop/feed/flight/client.h"
#include "strop/feed/flight/server.h"
#include "strop/feed/flight_plugin.h"

namespace strop::feed::flight {
namespace {

struct Registration {
  Registration() { RegisterFlight({OpenRemote, StartServer}); }
};
const Registration registration;

}  // namespace
}  // namespace strop::feed::flight
