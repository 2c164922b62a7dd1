// The rotation of RoPE on one head of one position, shared by rope.cpp and rope_rms_norm.cpp.
#pragma once
#include "simd.h"

namespace rs::RS_BACKEND {

// (p, q) → (p·cos + q·sin, q·cos − p·sin) for the two halves of a head; read(offset, n) gives n of its elements,
// `sign` −1 rotates back. Returns the sum of squares of the results. y may be what is read.
template <class F>
RS_INLINE float rotate(float* y, const float* cos, const float* sin, int64_t half, float sign, F&& read) {
  Vec squares_p = {}, squares_q = {};
  each_vec(half, [&](int64_t j, int n) RS_INLINE_LAMBDA {
    Vec p = read(j, n), q = read(half + j, n);
    Vec c = load(cos + j, n), s = sign * load(sin + j, n);
    Vec first = p * c + q * s, second = q * c - p * s;
    store(y + j, first, n);
    store(y + half + j, second, n);
    squares_p += first * first;
    squares_q += second * second;
  });
  return sum_lanes(squares_p + squares_q);
}

}  // namespace rs::RS_BACKEND
