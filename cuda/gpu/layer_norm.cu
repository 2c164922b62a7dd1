// Layer norm of rows, with optional weight and bias, and its gradient. Rows up to kLongestHeldRow stay in registers, so
// that each tensor is read once; the gradients of weight and bias are then summed on the way, by blocks that keep to a
// run of rows. Longer rows are read again for every pass.
#include "sums.h"

namespace rs::gpu {

namespace {

constexpr int64_t kRuns = 528;  // of rows, at most: partial sums of the gradients of weight and bias

// Two passes over the values on purpose: E[x²] − E[x]² loses all digits when |mean| ≫ std. The mean is corrected in
// between by the mean of what it left.
template <int Threads, int Groups, class T>
__global__ void __launch_bounds__(kRowBlock<Threads>)
    layer_norm_forward_kernel(T* y, float* mean, float* rstd, const T* x, const float* weight, const float* bias,
                              int64_t n, int32_t c, float eps, bool wide, bool wide_weight) {
  __shared__ float shared[33];
  using Part = RowPart<Threads, Groups>;
  const Part part(int64_t{blockIdx.x} * (kRowBlock<Threads> / Threads) + Part::team(), n, c);
  Group<T, 8> raw[Groups];
  part.load(raw, x, wide);
  const float width = float(c);
  float v[Groups][8], sum = 0, rest = 0, squares = 0;
#pragma unroll
  for (int k = 0; k < Groups; k++) {
    raw[k].unpack(v[k]);
#pragma unroll
    for (int i = 0; i < 8; i++) sum += v[k][i];
  }
  const float rough = team_sum<Threads>(sum, shared) / width;
#pragma unroll
  for (int k = 0; k < Groups; k++) {
#pragma unroll
    for (int i = 0; i < 8; i++) rest += i < part.count(k) ? v[k][i] - rough : 0.0f;
  }
  const float m = rough + team_sum<Threads>(rest, shared) / width;
#pragma unroll
  for (int k = 0; k < Groups; k++) {
#pragma unroll
    for (int i = 0; i < 8; i++) {
      v[k][i] = i < part.count(k) ? v[k][i] - m : 0.0f;
      squares += v[k][i] * v[k][i];
    }
  }
  const float r = 1.0f / sqrtf(team_sum<Threads>(squares, shared) / width + eps);
  if (part.first()) {
    mean[part.row] = m;
    rstd[part.row] = r;
  }
#pragma unroll
  for (int k = 0; k < Groups; k++) {
    if (weight) {
      float w[8], b[8];
      load8(w, weight + part.column(k), part.count(k), wide_weight);
      load8(b, bias + part.column(k), part.count(k), wide_weight);
#pragma unroll
      for (int i = 0; i < 8; i++) v[k][i] = fmaf(v[k][i] * r, w[i], b[i]);
    } else {
#pragma unroll
      for (int i = 0; i < 8; i++) v[k][i] *= r;
    }
    part.store(y, k, v[k], wide);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    layer_norm_forward_long_kernel(T* y, float* mean, float* rstd, const T* x, const float* weight, const float* bias,
                                   int32_t c, float eps, bool wide, bool wide_weight) {
  __shared__ float shared[33];
  const T* in = x + int64_t{blockIdx.x} * c;
  T* out = y + int64_t{blockIdx.x} * c;
  const float width = float(c);
  const auto each = [&](auto&& f) {  // f(column, values, how many exist)
    for (int64_t j = threadIdx.x * 8; j < c; j += kThreads * 8) {
      const int count = count_left(j, c, 8);
      float v[8];
      load8(v, in + j, count, wide);
      f(j, v, count);
    }
  };
  float sum = 0, rest = 0, squares = 0;
  each([&](int64_t, float (&v)[8], int) {
#pragma unroll
    for (int i = 0; i < 8; i++) sum += v[i];
  });
  const float rough = team_sum<kThreads>(sum, shared) / width;
  each([&](int64_t, float (&v)[8], int count) {
#pragma unroll
    for (int i = 0; i < 8; i++) rest += i < count ? v[i] - rough : 0.0f;
  });
  const float m = rough + team_sum<kThreads>(rest, shared) / width;
  each([&](int64_t, float (&v)[8], int count) {
#pragma unroll
    for (int i = 0; i < 8; i++) squares += i < count ? (v[i] - m) * (v[i] - m) : 0.0f;
  });
  const float r = 1.0f / sqrtf(team_sum<kThreads>(squares, shared) / width + eps);
  if (threadIdx.x == 0) {
    mean[blockIdx.x] = m;
    rstd[blockIdx.x] = r;
  }
  each([&](int64_t j, float (&v)[8], int count) {
    float w[8], b[8];
    if (weight) {
      load8(w, weight + j, count, wide_weight);
      load8(b, bias + j, count, wide_weight);
    }
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] = weight ? fmaf((v[i] - m) * r, w[i], b[i]) : (v[i] - m) * r;
    store8(out + j, v, count, wide);
  });
}

// What a row's gradient needs of the whole row; g = dy·weight, dx = rstd·(g − mean(g) − (x − mean)·along).
struct RowSums {
  float level, along;
};
template <int Threads>
__device__ RowSums row_sums(float sum, float dot, float r, float width, float* shared) {
  const float level = team_sum<Threads>(sum, shared) / width;
  return {level, team_sum<Threads>(dot, shared) * r * r / width};
}

// A block goes through its run of rows, each team keeping the sums of its columns in registers; run k's sums go to
// partial[k] = [dweight[C] | dbias[C]].
template <int Threads, int Groups, bool Weighted, class T>
__global__ void __launch_bounds__(kRowBlock<Threads>)
    layer_norm_backward_kernel(T* dx, float* partial, const T* dy, const T* x, const float* mean, const float* rstd,
                               const float* weight, int64_t n, int32_t c, int64_t run, bool wide, bool wide_weight) {
  constexpr int kTeams = kRowBlock<Threads> / Threads;
  __shared__ float shared[33];
  using Part = RowPart<Threads, Groups>;
  const float width = float(c);
  const int64_t last = min(n, (int64_t{blockIdx.x} + 1) * run);
  float weight_sums[Groups][8] = {}, bias_sums[Groups][8] = {};
  for (int64_t start = int64_t{blockIdx.x} * run; start < last; start += kTeams) {
    const Part part(start + Part::team(), last, c);
    Group<T, 8> grads[Groups], values[Groups];
    part.load(grads, dy, wide);
    part.load(values, x, wide);
    const float m = part.exists ? mean[part.row] : 0.0f, r = part.exists ? rstd[part.row] : 0.0f;
    // With the weight's factor; beyond the row's end the gradient is 0.
    float g[Groups][8], sum = 0, dot = 0;
#pragma unroll
    for (int k = 0; k < Groups; k++) {
      float v[8];
      grads[k].unpack(g[k]);
      values[k].unpack(v);
      if constexpr (Weighted) {
        float w[8];
        load8(w, weight + part.column(k), part.count(k), wide_weight);
#pragma unroll
        for (int i = 0; i < 8; i++) {
          weight_sums[k][i] += g[k][i] * (v[i] - m) * r;
          bias_sums[k][i] += g[k][i];
          g[k][i] *= w[i];
        }
      }
#pragma unroll
      for (int i = 0; i < 8; i++) {
        sum += g[k][i];
        dot += g[k][i] * (v[i] - m);
      }
    }
    const RowSums sums = row_sums<Threads>(sum, dot, r, width, shared);
#pragma unroll
    for (int k = 0; k < Groups; k++) {
      float v[8];
      values[k].unpack(v);
#pragma unroll
      for (int i = 0; i < 8; i++) g[k][i] = r * (g[k][i] - sums.level - sums.along * (v[i] - m));
      part.store(dx, k, g[k], wide);
    }
  }
  if constexpr (Weighted) {
    // The teams add theirs in turn.
    constexpr int kColumns = Threads * Groups * 8;
    __shared__ float totals[kTeams > 1 ? 2 * kColumns : 1];
    const Part part(0, 1, c);
    float* out = partial + int64_t{blockIdx.x} * 2 * c;
    for (int team = 0; team < kTeams; team++) {
      if (Part::team() == team) {
#pragma unroll
        for (int k = 0; k < Groups; k++) {
#pragma unroll
          for (int i = 0; i < 8; i++) {
            const int j = part.column(k) + i;
            if constexpr (kTeams > 1) {
              if (team > 0) {
                weight_sums[k][i] += totals[j];
                bias_sums[k][i] += totals[kColumns + j];
              }
              totals[j] = weight_sums[k][i];
              totals[kColumns + j] = bias_sums[k][i];
            }
            if (team == kTeams - 1 && j < c) {
              out[j] = weight_sums[k][i];
              out[c + j] = bias_sums[k][i];
            }
          }
        }
      }
      if constexpr (kTeams > 1) __syncthreads();
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    layer_norm_backward_long_kernel(T* dx, const T* dy, const T* x, const float* mean, const float* rstd,
                                    const float* weight, int32_t c, bool wide, bool wide_weight) {
  __shared__ float shared[33];
  const int64_t row = int64_t{blockIdx.x} * c;
  const float m = mean[blockIdx.x], r = rstd[blockIdx.x];
  const auto each = [&](auto&& f) {  // f(column, dy·weight, x − mean, how many exist); beyond the end the first is 0
    for (int64_t j = threadIdx.x * 8; j < c; j += kThreads * 8) {
      const int count = count_left(j, c, 8);
      float g[8], v[8], w[8];
      load8(g, dy + row + j, count, wide);
      load8(v, x + row + j, count, wide);
      if (weight) load8(w, weight + j, count, wide_weight);
#pragma unroll
      for (int i = 0; i < 8; i++) {
        v[i] -= m;
        if (weight) g[i] *= w[i];
      }
      f(j, g, v, count);
    }
  };
  float sum = 0, dot = 0;
  each([&](int64_t, float (&g)[8], float (&v)[8], int) {
#pragma unroll
    for (int i = 0; i < 8; i++) {
      sum += g[i];
      dot += g[i] * v[i];
    }
  });
  const RowSums sums = row_sums<kThreads>(sum, dot, r, float(c), shared);
  each([&](int64_t j, float (&g)[8], float (&v)[8], int count) {
#pragma unroll
    for (int i = 0; i < 8; i++) g[i] = r * (g[i] - sums.level - sums.along * v[i]);
    store8(dx + row + j, g, count, wide);
  });
}

// Terms of dweight, dy·(x − mean)·rstd, for rows that no team holds.
template <class T>
struct WeightTerms {
  const T *dy, *x;
  const float *mean, *rstd;
  int64_t c, wide;
  struct Raw {
    Group<T, 8> dy, x;
  };
  static constexpr int kInFlight = 2;
  __device__ void load(Raw& raw, int64_t row, int64_t column, int count) const {
    raw.dy.load(dy + row * c + column, count, wide);
    raw.x.load(x + row * c + column, count, wide);
  }
  __device__ void values(float (&v)[8], const Raw& raw, int64_t row, int64_t, int) const {
    const float m = mean[row], r = rstd[row];
    float in[8];
    raw.dy.unpack(v);
    raw.x.unpack(in);
#pragma unroll
    for (int i = 0; i < 8; i++) v[i] = v[i] * (in[i] - m) * r;
  }
};

}  // namespace

void layer_norm_forward(Tensor* y, Tensor* mean, Tensor* rstd, const Tensor* x, const Tensor* weight,
                        const Tensor* bias, int32_t n, int32_t c, double eps) {
  with_float(x->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T* target = elements<T>(y);
    const T* source = elements<T>(x);
    const float *w = elements<float>(weight), *b = elements<float>(bias);
    const bool wide = wide_access(c, target, source), wide_weight = wide_access(0, w, b);
    const bool held = with_team(c, [&](auto threads, auto groups) {
      constexpr int Threads = decltype(threads)::value, Groups = decltype(groups)::value;
      launch(layer_norm_forward_kernel<Threads, Groups, T>, row_launch<Threads>(n), target, mean->f32(), rstd->f32(),
             source, w, b, n, c, float(eps), wide, wide_weight);
    });
    if (!held) {
      launch(layer_norm_forward_long_kernel<T>, {dim3(unsigned(n)), dim3(kThreads)}, target, mean->f32(), rstd->f32(),
             source, w, b, c, float(eps), wide, wide_weight);
    }
  });
}

void layer_norm_backward(Tensor* dx, Tensor* dweight, Tensor* dbias, const Tensor* dy, const Tensor* x,
                         const Tensor* mean, const Tensor* rstd, const Tensor* weight, int32_t n, int32_t c) {
  with_float(x->dtype, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T* target = elements<T>(dx);
    const T *grad = elements<T>(dy), *source = elements<T>(x);
    const float *m = mean->f32(), *r = rstd->f32(), *w = elements<float>(weight);
    const bool wide = wide_access(c, target, grad, source), wide_weight = wide_access(0, w);
    const bool held = with_team(c, [&](auto threads, auto groups) {
      constexpr int Threads = decltype(threads)::value, Groups = decltype(groups)::value;
      constexpr int kTeams = kRowBlock<Threads> / Threads;
      const auto enqueue = [&](auto kernel, float* partial, int64_t run) {
        launch(kernel, {dim3(unsigned(ceil_div(n, run))), dim3(kRowBlock<Threads>)}, target, partial, grad, source, m,
               r, w, n, c, run, wide, wide_weight);
      };
      if (!w) return enqueue(layer_norm_backward_kernel<Threads, Groups, false, T>, nullptr, kTeams);
      const int64_t run = ceil_div(ceil_div(n, kRuns), kTeams) * kTeams, runs = ceil_div(n, run);
      Scratch partial(sizeof(float) * 2 * size_t(runs * c));
      enqueue(layer_norm_backward_kernel<Threads, Groups, true, T>, partial.f32(), run);
      add_partials({dweight->data, RS_F32, 1.0}, partial.f32(), runs, int64_t{2} * c, c);
      add_partials({dbias->data, RS_F32, 1.0}, partial.f32() + c, runs, int64_t{2} * c, c);
    });
    if (held) return;
    launch(layer_norm_backward_long_kernel<T>, {dim3(unsigned(n)), dim3(kThreads)}, target, grad, source, m, r, w, c,
           wide, wide_weight);
    if (!w) return;
    const WeightTerms<T> weight_terms{grad, source, m, r, c, wide_access(c, grad, source)};
    sum_over_rows({dweight->data, RS_F32, 1.0}, weight_terms, n, c);
    sum_over_rows({dbias->data, RS_F32, 1.0}, Elements<T>{grad, c, wide_access(c, grad)}, n, c);
  });
}

}  // namespace rs::gpu
