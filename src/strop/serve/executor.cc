#include "strop/serve/executor.h"

#include <utility>

namespace strop::serve {

Executor::Executor(const std::string& name, int threads, size_t queue_limit) : tasks_(queue_limit) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this, name] {
      NameThread(name);
      while (auto task = tasks_.Pop()) (*task)();
    });
  }
}

Executor::~Executor() { Stop(); }

void Executor::Stop() {
  tasks_.Close();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace strop::serve
