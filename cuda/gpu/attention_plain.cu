// Attention for any head dimension, type, address and scale, in float32 on the ordinary cores. A block owns 32 rows
// (queries, or keys for their gradient), four a warp, and walks over tiles of 32 rows of the other side: a lane holds
// the scores of one of them, then the lanes share out the columns of the sums. D is cut into chunks of up to 128
// columns; the blocks of one row block differ in the chunk that they write, and each computes the scores over all of D.
// Sums run over the columns in order, then over the other side's rows in order; NaN or infinity in a row reaches the
// sums of the rows of its tile that do not see it as 0·NaN.
#include <type_traits>

#include "attention.h"

namespace rs::gpu {

namespace {

constexpr int warps = 8, own = 4, rows = warps * own, others = 32;
constexpr float log2_e = 1.44269504088896341f, ln_2 = 0.693147180559945309f;

// What a block works on: block numbers run through the chunks, then the row blocks of a head, heads, and the batch.
struct Work {
  int first, batch, head, chunk, chunks;
  __device__ Work(const AttentionShape& s, int heads, int columns) {
    chunks = (s.d - 1) / columns + 1;
    const unsigned blocks = unsigned((s.t - 1) / rows + 1);
    unsigned rest = blockIdx.x;
    chunk = int(rest % unsigned(chunks));
    rest /= unsigned(chunks);
    first = int(rest % blocks) * rows;
    rest /= blocks;
    head = int(rest % unsigned(heads));
    batch = int(rest / unsigned(heads));
  }
};

// The rows of one head: row i begins at data + i·stride.
template <class T>
struct Head {
  T* data;
  int64_t stride;
  __device__ Head(T* x, const AttentionShape& s, int batch, int head, int heads)
      : data(x + (int64_t{batch} * s.t * heads + head) * s.d), stride(int64_t{heads} * s.d) {}
};

// 32 rows from `first` on, `Columns` columns from `column` on, as float32; zeros outside of [T, D].
template <int Columns, class T>
__device__ inline void load_rows(float* target, int pitch, const Head<const T>& head, int first, int column,
                                 const AttentionShape& s) {
#pragma unroll 4
  for (int i = threadIdx.x; i < 32 * Columns; i += warps * 32) {
    const int row = first + i / Columns, at = column + i % Columns;
    const bool inside = row < s.t && at < s.d;
    target[i / Columns * pitch + i % Columns] = inside ? to_float(head.data[row * head.stride + at]) : 0.0f;
  }
}

// score[r] += row r of the warp's own · the other row, over a chunk.
template <int Columns>
__device__ inline void add_scores(float (&score)[own], const float* mine, const float* other) {
#pragma unroll 4
  for (int column = 0; column < Columns; column += 4) {
    float x[4];
#pragma unroll
    for (int e = 0; e < 4; e++) x[e] = other[column + e];
#pragma unroll
    for (int r = 0; r < own; r++) {
      const float4 a = *reinterpret_cast<const float4*>(mine + r * Columns + column);
      score[r] = fmaf(a.w, x[3], fmaf(a.z, x[2], fmaf(a.y, x[1], fmaf(a.x, x[0], score[r]))));
    }
  }
}

// sum[r] += Σ weight of the other row j (which lane j holds) · row j of a tile. A lane has columns lane, lane + 32, …
template <int Wide>
__device__ inline void add_weighted(float (&sum)[own][Wide], const float (&weight)[own], const float* tile) {
  const int lane = threadIdx.x % 32;
#pragma unroll 4
  for (int j = 0; j < others; j++) {
    float x[Wide];
#pragma unroll
    for (int i = 0; i < Wide; i++) x[i] = tile[j * (32 * Wide + 1) + lane + 32 * i];
#pragma unroll
    for (int r = 0; r < own; r++) {
      const float w = __shfl_sync(0xffffffffu, weight[r], j);
#pragma unroll
      for (int i = 0; i < Wide; i++) sum[r][i] = fmaf(w, x[i], sum[r][i]);
    }
  }
}

// Writes the columns of a chunk of the warp's rows, times a factor for each row.
template <int Wide, class T>
__device__ inline void store_rows(const Head<T>& head, const Work& work, const float (&sum)[own][Wide],
                                  const float (&factor)[own], const AttentionShape& s) {
#pragma unroll
  for (int r = 0; r < own; r++)
#pragma unroll
    for (int i = 0; i < Wide; i++) {
      const int row = work.first + int(threadIdx.x) / 32 * own + r;
      const int column = work.chunk * 32 * Wide + int(threadIdx.x) % 32 + 32 * i;
      if (row < s.t && column < s.d) head.data[row * head.stride + column] = from_float<T>(sum[r][i] * factor[r]);
    }
}

__device__ inline bool sees(int query, int key, const AttentionShape& s) {
  return key <= query && key >= query - s.window;
}

template <class T, int Wide>
__global__ void __launch_bounds__(warps * 32)
attention_forward_plain_kernel(T* y, float* lse, const T* q, const T* k, const T* v, AttentionShape s) {
  constexpr int columns = 32 * Wide, pitch = columns + 1;
  extern __shared__ __align__(16) float buffer[];
  float *queries = buffer, *keys = queries + rows * columns, *values = keys + others * pitch;

  const Work work(s, s.h, columns);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, key_head = int(int64_t{work.head} * s.g / s.h);
  const Head<const T> query_rows(q, s, work.batch, work.head, s.h), key_rows(k, s, work.batch, key_head, s.g),
      value_rows(v, s, work.batch, key_head, s.g);
  const float scale = s.scale * log2_e, infinity = __int_as_float(0x7f800000);
  float sum[own][Wide] = {}, total[own] = {}, largest[own];
#pragma unroll
  for (int r = 0; r < own; r++) largest[r] = -infinity;

  const int first_tile = max(0, work.first - s.window) / others;
  const int last_tile = min(work.first + rows - 1, s.t - 1) / others;
  for (int tile = first_tile; tile <= last_tile; tile++) {
    float score[own] = {};
    for (int chunk = 0; chunk < work.chunks; chunk++) {
      __syncthreads();
      if (work.chunks > 1 || tile == first_tile)
        load_rows<columns>(queries, columns, query_rows, work.first, chunk * columns, s);
      load_rows<columns>(keys, pitch, key_rows, tile * others, chunk * columns, s);
      if (chunk == 0) load_rows<columns>(values, pitch, value_rows, tile * others, work.chunk * columns, s);
      __syncthreads();
      add_scores<columns>(score, queries + warp * own * columns, keys + lane * pitch);
    }
    float weight[own];
#pragma unroll
    for (int r = 0; r < own; r++) {
      const bool seen = sees(work.first + warp * own + r, tile * others + lane, s);
      const float top = fmaxf(largest[r], warp_max(seen ? score[r] * scale : -infinity));
      const float shift = top == -infinity ? 0.0f : top;  // a row may see nothing of the first tiles
      const float fade = exp2f(largest[r] - shift);
      weight[r] = seen ? exp2f(fmaf(score[r], scale, -shift)) : 0.0f;
      total[r] = fmaf(total[r], fade, warp_sum(weight[r]));
      largest[r] = top;
#pragma unroll
      for (int i = 0; i < Wide; i++) sum[r][i] *= fade;
    }
    add_weighted<Wide>(sum, weight, values);
  }

  float inverse[own];
#pragma unroll
  for (int r = 0; r < own; r++) {
    const int row = work.first + warp * own + r;
    inverse[r] = 1.0f / total[r];
    if (lane == 0 && work.chunk == 0 && row < s.t)
      lse[(int64_t{work.batch} * s.h + work.head) * s.t + row] = fmaf(largest[r], ln_2, logf(total[r]));
  }
  store_rows<Wide>(Head<T>(y, s, work.batch, work.head, s.h), work, sum, inverse, s);
}

template <class T, int Wide>
__global__ void __launch_bounds__(warps * 32)
attention_query_gradient_plain_kernel(T* dq, const float* delta, const T* dy, const float* lse, const T* q, const T* k,
                                      const T* v, AttentionShape s) {
  constexpr int columns = 32 * Wide, pitch = columns + 1;
  extern __shared__ __align__(16) float buffer[];
  float *queries = buffer, *dys = queries + rows * columns, *keys = dys + rows * columns,
        *values = keys + others * pitch;

  const Work work(s, s.h, columns);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, key_head = int(int64_t{work.head} * s.g / s.h);
  const Head<const T> query_rows(q, s, work.batch, work.head, s.h), dy_rows(dy, s, work.batch, work.head, s.h),
      key_rows(k, s, work.batch, key_head, s.g), value_rows(v, s, work.batch, key_head, s.g);
  float sum[own][Wide] = {}, top[own], level[own], factor[own];
#pragma unroll
  for (int r = 0; r < own; r++) {
    const int row = work.first + warp * own + r;
    const int64_t at = (int64_t{work.batch} * s.h + work.head) * s.t + row;
    top[r] = row < s.t ? lse[at] * log2_e : 0.0f;
    level[r] = row < s.t ? delta[at] : 0.0f;
    factor[r] = s.scale;
  }

  const int first_tile = max(0, work.first - s.window) / others;
  const int last_tile = min(work.first + rows - 1, s.t - 1) / others;
  for (int tile = first_tile; tile <= last_tile; tile++) {
    float score[own] = {}, change[own] = {};
    for (int chunk = 0; chunk < work.chunks; chunk++) {
      __syncthreads();
      if (work.chunks > 1 || tile == first_tile) {
        load_rows<columns>(queries, columns, query_rows, work.first, chunk * columns, s);
        load_rows<columns>(dys, columns, dy_rows, work.first, chunk * columns, s);
      }
      load_rows<columns>(keys, pitch, key_rows, tile * others, chunk * columns, s);
      load_rows<columns>(values, pitch, value_rows, tile * others, chunk * columns, s);
      __syncthreads();
      add_scores<columns>(score, queries + warp * own * columns, keys + lane * pitch);
      add_scores<columns>(change, dys + warp * own * columns, values + lane * pitch);
    }
    if (work.chunks > 1) {
      __syncthreads();
      load_rows<columns>(keys, pitch, key_rows, tile * others, work.chunk * columns, s);
      __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < own; r++) {
      const bool seen = sees(work.first + warp * own + r, tile * others + lane, s);
      const float p = exp2f(fmaf(score[r], s.scale * log2_e, -top[r]));
      change[r] = seen ? p * (change[r] - level[r]) : 0.0f;
    }
    add_weighted<Wide>(sum, change, keys);
  }
  store_rows<Wide>(Head<T>(dq, s, work.batch, work.head, s.h), work, sum, factor, s);
}

template <class T, int Wide>
__global__ void __launch_bounds__(warps * 32)
attention_key_value_gradient_plain_kernel(T* dk, T* dv, const float* delta, const T* dy, const float* lse, const T* q,
                                          const T* k, const T* v, AttentionShape s) {
  constexpr int columns = 32 * Wide, pitch = columns + 1;
  extern __shared__ __align__(16) float buffer[];
  float *keys = buffer, *values = keys + rows * columns, *queries = values + rows * columns,
        *dys = queries + others * pitch;

  const Work work(s, s.g, columns);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const Head<const T> key_rows(k, s, work.batch, work.head, s.g), value_rows(v, s, work.batch, work.head, s.g);
  float dkeys[own][Wide] = {}, dvalues[own][Wide] = {};

  // Head h reads key/value head ⌊h·G/H⌋: the first of a group's heads is ⌈group·H/G⌉.
  const int first_head = int((int64_t{work.head} * s.h + s.g - 1) / s.g);
  const int end_head = int(((int64_t{work.head} + 1) * s.h + s.g - 1) / s.g);
  const int64_t last_query = min(int64_t{s.t} - 1, int64_t{work.first} + rows - 1 + s.window);
  const int first_tile = work.first / others, last_tile = int(last_query / others);
  for (int head = first_head; head < end_head; head++) {
    const Head<const T> query_rows(q, s, work.batch, head, s.h), dy_rows(dy, s, work.batch, head, s.h);
    const int64_t numbers = (int64_t{work.batch} * s.h + head) * s.t;
    for (int tile = first_tile; tile <= last_tile; tile++) {
      float score[own] = {}, change[own] = {};
      for (int chunk = 0; chunk < work.chunks; chunk++) {
        __syncthreads();
        if (work.chunks > 1 || (head == first_head && tile == first_tile)) {
          load_rows<columns>(keys, columns, key_rows, work.first, chunk * columns, s);
          load_rows<columns>(values, columns, value_rows, work.first, chunk * columns, s);
        }
        load_rows<columns>(queries, pitch, query_rows, tile * others, chunk * columns, s);
        load_rows<columns>(dys, pitch, dy_rows, tile * others, chunk * columns, s);
        __syncthreads();
        add_scores<columns>(score, keys + warp * own * columns, queries + lane * pitch);
        add_scores<columns>(change, values + warp * own * columns, dys + lane * pitch);
      }
      if (work.chunks > 1) {
        __syncthreads();
        load_rows<columns>(queries, pitch, query_rows, tile * others, work.chunk * columns, s);
        load_rows<columns>(dys, pitch, dy_rows, tile * others, work.chunk * columns, s);
        __syncthreads();
      }
      const int query = tile * others + lane;
      const float top = query < s.t ? lse[numbers + query] * log2_e : 0.0f;
      const float level = query < s.t ? delta[numbers + query] : 0.0f;
#pragma unroll
      for (int r = 0; r < own; r++) {
        const bool seen = query < s.t && sees(query, work.first + warp * own + r, s);
        score[r] = seen ? exp2f(fmaf(score[r], s.scale * log2_e, -top)) : 0.0f;
        change[r] = seen ? score[r] * (change[r] - level) : 0.0f;
      }
      add_weighted<Wide>(dvalues, score, dys);
      add_weighted<Wide>(dkeys, change, queries);
    }
  }
  float factor[own], one[own];
#pragma unroll
  for (int r = 0; r < own; r++) {
    factor[r] = s.scale;
    one[r] = 1;
  }
  store_rows<Wide>(Head<T>(dk, s, work.batch, work.head, s.g), work, dkeys, factor, s);
  store_rows<Wide>(Head<T>(dv, s, work.batch, work.head, s.g), work, dvalues, one, s);
}

// A grid and shared memory for `mine` arrays of a block's own rows and `theirs` of tiles of the other side.
Launch shape_of(const AttentionShape& s, int heads, int wide, int mine, int theirs) {
  const int columns = 32 * wide;
  const int64_t blocks = ceil_div(s.d, columns) * ceil_div(s.t, rows) * heads * s.b;
  return {grid_of(blocks), dim3(warps * 32),
          size_t(mine * rows * columns + theirs * others * (columns + 1)) * sizeof(float)};
}

// Calls f with the width of a chunk over 32 as a constant: the least that holds D, at most 4.
template <class F>
void with_width(int32_t d, F&& f) {
  if (d <= 32) f(std::integral_constant<int, 1>());
  else if (d <= 64) f(std::integral_constant<int, 2>());
  else f(std::integral_constant<int, 4>());
}

}  // namespace

template <class T>
void plain_attention_forward(T* y, float* lse, const T* q, const T* k, const T* v, const AttentionShape& s) {
  with_width(s.d, [&](auto wide) {
    launch(attention_forward_plain_kernel<T, wide()>, shape_of(s, s.h, wide(), 1, 2), y, lse, q, k, v, s);
  });
}
template <class T>
void plain_attention_query_gradient(T* dq, const float* delta, const T* dy, const float* lse, const T* q, const T* k,
                                    const T* v, const AttentionShape& s) {
  with_width(s.d, [&](auto wide) {
    launch(attention_query_gradient_plain_kernel<T, wide()>, shape_of(s, s.h, wide(), 2, 2), dq, delta, dy, lse, q, k,
           v, s);
  });
}
template <class T>
void plain_attention_key_value_gradient(T* dk, T* dv, const float* delta, const T* dy, const float* lse, const T* q,
                                        const T* k, const T* v, const AttentionShape& s) {
  with_width(s.d, [&](auto wide) {
    launch(attention_key_value_gradient_plain_kernel<T, wide()>, shape_of(s, s.g, wide(), 2, 2), dk, dv, delta, dy, lse,
           q, k, v, s);
  });
}

#define RS_PLAIN_ATTENTION(T)                                                                                        \
  template void plain_attention_forward(T*, float*, const T*, const T*, const T*, const AttentionShape&);            \
  template void plain_attention_query_gradient(T*, const float*, const T*, const float*, const T*, const T*,         \
                                               const T*, const AttentionShape&);                                     \
  template void plain_attention_key_value_gradient(T*, T*, const float*, const T*, const float*, const T*, const T*, \
                                                   const T*, const AttentionShape&);
RS_PLAIN_ATTENTION(float)
RS_PLAIN_ATTENTION(bf16)

}  // namespace rs::gpu
