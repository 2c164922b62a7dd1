// Threads of the tokenizer: short-lived ones of its own, since both builds use it and only one of them has a pool.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace rs::tokenizer {

// As many as asked for, or (0) as this process may use.
inline int32_t thread_count_for(int32_t wanted) {
  if (wanted > 0) return std::min(wanted, 256);
  return static_cast<int32_t>(std::max(1u, std::thread::hardware_concurrency()));
}

// Calls body(item, thread) for every item in [0, items) on up to `threads` threads, the caller's among them; idle threads
// take the next item. Rethrows the first exception after all have stopped. Works on where no thread can be started.
template <class F>
void for_each_item(int64_t items, int32_t threads, F&& body) {
  std::atomic<int64_t> next{0};
  std::exception_ptr error;
  std::mutex error_lock;
  auto work = [&](int32_t thread) {
    try {
      for (int64_t item; (item = next.fetch_add(1)) < items;) body(item, thread);
    } catch (...) {
      next.store(items);
      std::lock_guard<std::mutex> hold(error_lock);
      if (!error) error = std::current_exception();
    }
  };
  std::vector<std::thread> team;
  const int32_t helpers = static_cast<int32_t>(std::min<int64_t>(threads, items)) - 1;
  if (helpers > 0) team.reserve(helpers);
  try {
    for (int32_t i = 0; i < helpers; i++) team.emplace_back(work, i + 1);
  } catch (const std::system_error&) {
  }
  work(0);
  for (std::thread& member : team) member.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace rs::tokenizer
