// The thread pool of the CPU build: one job at a time, low latency between jobs. Compiled once.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

#include "../impl.h"
#include "parallel.h"
#include "pool.h"

namespace rs {

namespace {

using Clock = std::chrono::steady_clock;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// One job at a time. A worker that sees a new epoch enters (counts itself into `state`), takes pieces until none is
// left, and leaves; the caller closes the job and waits until all who entered have left, so the job's fields are never
// changed under anybody's eyes. Workers look out for the next job for a while before they sleep: ops of small models
// follow each other within microseconds.
class Pool {
 public:
  // Makes do with fewer threads where the system gives no more.
  explicit Pool(int32_t threads) {
    try {
      for (; size_ < threads; size_++) std::thread(&Pool::work, this, size_).detach();
    } catch (const std::system_error&) {
    }
  }

  int32_t size() const { return size_; }

  void run(int64_t n, int64_t grain, ParallelBody body, void* context) {
    const int64_t pieces = (n + grain - 1) / grain;
    // Nested calls, single pieces and a pool in use by another thread's call: the caller does all of it, with the same
    // piece borders.
    if (pieces <= 1 || size_ == 1 || current_thread >= 0 || !busy_.try_lock()) {
      const int32_t thread = std::max(current_thread, 0);
      for (int64_t begin = 0; begin < n; begin += grain) body(context, begin, std::min(n, begin + grain), thread);
      return;
    }
    body_ = body;
    context_ = context;
    n_ = n;
    grain_ = grain;
    next_.store(0, std::memory_order_relaxed);
    failed_.store(false, std::memory_order_relaxed);
    state_.fetch_or(kOpen, std::memory_order_release);
    epoch_.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) {
      std::lock_guard<std::mutex> lock(sleep_);
      wake_.notify_all();
    }
    take_pieces(0);
    state_.fetch_and(~kOpen, std::memory_order_acq_rel);
    for (int spins = 0; state_.load(std::memory_order_acquire) != 0; spins++) {
      if (spins < 4000) relax();
      else std::this_thread::yield();
    }
    const bool failed = failed_.load(std::memory_order_relaxed);
    const Error error = failed ? error_ : Error{RS_OK, {}};
    busy_.unlock();
    if (failed) throw error;
  }

 private:
  void take_pieces(int32_t thread) {
    current_thread = thread;
    try {
      for (;;) {
        const int64_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
        if (begin >= n_) break;
        body_(context_, begin, std::min(n_, begin + grain_), thread);
      }
    } catch (const Error& error) {
      stop(error);
    } catch (const std::exception& error) {
      stop({RS_INTERNAL, error.what()});
    }
    current_thread = -1;
  }

  // The first error of a job is the one that its caller throws; the pieces not yet taken are dropped.
  void stop(const Error& error) {
    std::lock_guard<std::mutex> lock(sleep_);
    if (!failed_.exchange(true)) error_ = error;
    next_.store(n_, std::memory_order_relaxed);
  }

  void work(int32_t thread) {
    uint64_t seen = 0;
    for (;;) {
      const Clock::time_point start = Clock::now();
      while (epoch_.load(std::memory_order_seq_cst) == seen) {
        for (int i = 0; i < 64 && epoch_.load(std::memory_order_relaxed) == seen; i++) relax();
        if (Clock::now() - start < std::chrono::microseconds(100)) continue;
        std::unique_lock<std::mutex> lock(sleep_);
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        wake_.wait(lock, [&] { return epoch_.load(std::memory_order_seq_cst) != seen; });
        sleepers_.fetch_sub(1, std::memory_order_seq_cst);
      }
      seen = epoch_.load(std::memory_order_seq_cst);
      if (state_.fetch_add(1, std::memory_order_acq_rel) & kOpen) take_pieces(thread);
      state_.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  static constexpr uint32_t kOpen = 1u << 31;
  static thread_local int32_t current_thread;  // −1 outside of a job

  int32_t size_ = 1;  // the caller's thread counts
  std::mutex busy_, sleep_;
  std::condition_variable wake_;
  ParallelBody body_ = nullptr;
  void* context_ = nullptr;
  int64_t n_ = 0, grain_ = 1;
  Error error_;
  std::atomic<bool> failed_{false};
  alignas(64) std::atomic<uint64_t> epoch_{0};
  alignas(64) std::atomic<uint32_t> state_{0};
  alignas(64) std::atomic<int32_t> sleepers_{0};
  alignas(64) std::atomic<int64_t> next_{0};
};

thread_local int32_t Pool::current_thread = -1;

Pool* pool = nullptr;  // never destroyed: its threads live as long as the process

int32_t machine_threads() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, int32_t(std::thread::hardware_concurrency()));
}

}  // namespace

int32_t thread_count() { return pool->size(); }

void parallel_for_pieces(int64_t n, int64_t grain, ParallelBody body, void* context) {
  if (n > 0) pool->run(n, std::max<int64_t>(grain, 1), body, context);
}

void pool_start(int32_t threads) { pool = new Pool(threads == 0 ? machine_threads() : threads); }

}  // namespace rs
