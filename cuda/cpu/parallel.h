// The thread pool of the CPU build (defined in device.cpp, compiled once for all instruction sets).
#pragma once
#include <cstdint>
#include <type_traits>

namespace rs {

int32_t thread_count();

using ParallelBody = void (*)(void* context, int64_t begin, int64_t end, int32_t thread);
// Calls body on [0, n) split into pieces of `grain` items (the last one shorter); idle threads take the next piece.
// Piece borders depend on n and grain alone, so a body whose items are independent gives the same bits on any number of
// threads. `thread` is in [0, thread_count()).
void parallel_for_pieces(int64_t n, int64_t grain, ParallelBody body, void* context);

template <class F>
void parallel_for(int64_t n, int64_t grain, F&& f) {
  parallel_for_pieces(
      n, grain,
      [](void* context, int64_t begin, int64_t end, int32_t thread) {
        (*static_cast<std::remove_reference_t<F>*>(context))(begin, end, thread);
      },
      &f);
}

}  // namespace rs
