// What the CUDA ops share: enqueueing on the one stream, access to float32 and bfloat16 by groups of eight, sums of a
// warp and of a block. Op files include this and nothing of the runtime behind it (stream.cu).
//
// Determinism: no float atomics; a sum's order depends on sizes alone, never on alignment or on what else runs. Tensors
// may be views at any element, so an address need not be aligned: `wide` says whether 16-byte accesses are possible, and
// which thread handles which element must not depend on it.
#pragma once
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <tuple>
#include <utility>

#include "../impl.h"

namespace rs::gpu {

using bf16 = __nv_bfloat16;

// ---- enqueueing ----

struct Launch {
  dim3 grid, block;
  size_t shared = 0;  // dynamic shared memory in bytes; above 48 KB the kernel's limit is raised
  unsigned cluster = 1;  // blocks of a cluster along x
};

// Enqueues a kernel whose parameters lie at values[0 … count), of sizes[i] bytes each. Throws Error with the CUDA text.
void enqueue_kernel(const void* kernel, const Launch& shape, const void* const* values, const size_t* sizes, int count);
void enqueue_zero(void* target, size_t bytes);
void enqueue_copy(void* target, const void* source, size_t bytes);  // within the device

// Enqueues kernel<<<shape>>>(args…), each argument converted to the parameter's type. An empty grid does nothing. From
// step to step parameters are compared byte by byte, so none may have gaps, which hold anything.
template <class... P, class... A>
void launch(void (*kernel)(P...), const Launch& shape, A&&... args) {
  static_assert(sizeof...(P) == sizeof...(A), "a kernel takes another number of arguments");
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
  std::tuple<P...> values(static_cast<P>(std::forward<A>(args))...);
  std::apply(
      [&](auto&... value) {
        const void* places[] = {&value..., nullptr};
        const size_t sizes[] = {sizeof(value)..., 0};
        enqueue_kernel(reinterpret_cast<const void*>(kernel), shape, places, sizes, int(sizeof...(P)));
      },
      values);
}

int multiprocessors();      // of the device
// Whether the kernels that need wgmma and TMA (sm_90a) can run: the device is of that family and this build has them.
bool has_hopper_kernels();

// Waits for the stream and throws what went wrong on the way. Only for what must give numbers to the host.
void synchronize();
void download(void* host, const void* device, size_t bytes);  // waits
void upload(void* device, const void* host, size_t bytes);    // the host memory may be reused at once

// ---- grids ----

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
// A grid of one block each. Throws RS_UNSUPPORTED where that is more than a grid may have.
inline dim3 grid_of(int64_t blocks) {
  if (blocks > INT32_MAX) fail(RS_UNSUPPORTED, "%lld thread blocks are more than a grid may have", (long long)blocks);
  return dim3(unsigned(blocks));
}
// Blocks for a loop that strides over the grid: enough to cover `count` with `per_block` each, at most 16 an SM.
inline unsigned grid_for(int64_t count, int64_t per_block) {
  const int64_t most = int64_t{multiprocessors()} * 16, wanted = ceil_div(count, per_block);
  return unsigned(wanted < most ? wanted : most);
}

// Calls f with a null pointer of the element type: with_float(x->dtype, [&](auto* p) { using T = …; }).
template <class F>
void with_float(int32_t dtype, F&& f) {
  if (dtype == RS_BF16) f(static_cast<bf16*>(nullptr));
  else f(static_cast<float*>(nullptr));
}
template <class T>
T* elements(const Tensor* x) {  // null for null
  return x ? static_cast<T*>(x->data) : nullptr;
}

// Whether all addresses are multiples of 16 and `stride` elements (of a row, say) are whole groups of eight.
template <class... P>
bool wide_access(int64_t stride, const P*... pointers) {
  return stride % 8 == 0 && ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

// An id that a kernel found outside 0 … limit−1 is reported by the next call that waits, with the op's name, the id and
// its place; the kernel goes on as if it were 0.
struct IdCheck {
  uint32_t* slot;   // host memory: whether it is filled, op, id, place (two words), limit
  uint32_t* taken;  // device memory, for atomics that the host's need not have: whether a thread fills the slot
  uint32_t op;
  uint32_t unused = 0;
};
IdCheck id_check();

#ifdef __CUDACC__

// Returns the id, or reports it and returns 0.
__device__ inline int32_t checked_id(const IdCheck& check, int32_t id, int64_t place, int32_t limit) {
  if (id >= 0 && id < limit) return id;
  if (atomicCAS(check.taken, 0u, 1u) == 0u) {
    volatile uint32_t* slot = check.slot;
    slot[1] = check.op;
    slot[2] = uint32_t(id);
    slot[3] = uint32_t(place);
    slot[4] = uint32_t(uint64_t(place) >> 32);
    slot[5] = uint32_t(limit);
    __threadfence_system();
    slot[0] = 1u;
  }
  return 0;
}

// ---- elements ----

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(bf16 x) { return __bfloat162float(x); }
template <class T>
__device__ inline T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) { return x; }
template <>
__device__ inline bf16 from_float<bf16>(float x) { return __float2bfloat16_rn(x); }

// Eight neighbours at p as float32; those from `count` on read as 0. With `wide`, p is 16-byte aligned.
__device__ inline void load8(float (&v)[8], const float* p, int count, bool wide) {
  if (wide && count >= 8) {
    const float4 a = *reinterpret_cast<const float4*>(p), b = *reinterpret_cast<const float4*>(p + 4);
    v[0] = a.x; v[1] = a.y; v[2] = a.z; v[3] = a.w;
    v[4] = b.x; v[5] = b.y; v[6] = b.z; v[7] = b.w;
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; i++) v[i] = i < count ? p[i] : 0.0f;
}
__device__ inline void load8(float (&v)[8], const bf16* p, int count, bool wide) {
  if (wide && count >= 8) {
    const uint4 raw = *reinterpret_cast<const uint4*>(p);
    const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
      v[2 * i] = __uint_as_float(words[i] << 16);
      v[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; i++) v[i] = i < count ? __bfloat162float(p[i]) : 0.0f;
}
__device__ inline void store8(float* p, const float (&v)[8], int count, bool wide) {
  if (wide && count >= 8) {
    *reinterpret_cast<float4*>(p) = make_float4(v[0], v[1], v[2], v[3]);
    *reinterpret_cast<float4*>(p + 4) = make_float4(v[4], v[5], v[6], v[7]);
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; i++)
    if (i < count) p[i] = v[i];
}
// Two float32 rounded to a pair of bfloat16, the first in the low half.
__device__ inline uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}
__device__ inline void store8(bf16* p, const float (&v)[8], int count, bool wide) {
  if (wide && count >= 8) {
    *reinterpret_cast<uint4*>(p) =
        make_uint4(pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]), pack_bf16(v[4], v[5]), pack_bf16(v[6], v[7]));
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; i++)
    if (i < count) p[i] = __float2bfloat16_rn(v[i]);
}

// ---- sums ----

__device__ inline float warp_sum(float x) {  // every lane gets it
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffffu, x, offset);
  return x;
}
__device__ inline float warp_max(float x) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, offset));
  return x;
}
// Sum over a block of up to 1024 threads, a multiple of 32; every thread gets it. `shared` has 33 floats; may be called
// again at once.
__device__ inline float block_sum(float x, float* shared) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  x = warp_sum(x);
  __syncthreads();
  if (lane == 0) shared[warp] = x;
  __syncthreads();
  if (warp == 0) {
    const float sum = warp_sum(lane < warps ? shared[lane] : 0.0f);
    if (lane == 0) shared[32] = sum;
  }
  __syncthreads();
  return shared[32];
}

#endif  // __CUDACC__

}  // namespace rs::gpu
