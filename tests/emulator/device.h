// What the sources of cuda/gpu see of a GPU where there is none: CUDA's language for an ordinary C++ compiler, and the
// instructions that translate.ts puts in the place of PTX (device.cpp). Included before everything else.
//
// A block's threads are fibers, a cluster's blocks run at once, clusters one after the other. Work that a GPU does on
// its own time (copies into shared memory, products of a warpgroup) is done late here, at a random moment or when
// somebody waits for it, so that code that does not wait reads or writes too early and gives wrong numbers. What this
// can't show: times, registers of a product that are overwritten before it is done, warps of a warpgroup that wait for
// products at different moments, and in which order other units and other blocks see a thread's accesses to memory.
#pragma once
#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <type_traits>
#include <utility>

#undef __global__
#undef __device__
#undef __host__
#undef __launch_bounds__
#undef __align__
#undef __grid_constant__
#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __grid_constant__
#define __restrict__
#define __CUDACC__ 1
#define __CUDA_ARCH__ 900

namespace emulator {

// ---- the running thread ----

uint3 thread_index();
dim3 block_index(), block_size(), grid_size();
int lane();
// Barriers of the block: 0 is __syncthreads, others by number and threads; without `wait` the thread only arrives.
void barrier(int id, int threads = 0, bool wait = true);
void cluster_barrier();
// All lanes of `mask` bring `bytes` ≤ 32 bytes; gives those of all.
using Slots = const uint8_t (*)[32];
Slots exchange(uint32_t mask, const void* value, size_t bytes);

// ---- shared memory: addresses are 32 bits, as PTX has them ----

uint32_t shared_address(const void* p);
void* dynamic_shared();
int new_variable();
void* static_shared(int variable, size_t bytes);
template <class T, int Place>
T& static_shared() {
  static const int variable = new_variable();
  return *static_cast<T*>(static_shared(variable, sizeof(T)));
}

// ---- PTX by other names ----

void mbarrier_init(uint32_t bar, int arrivals);
void mbarrier_arrive(uint32_t bar, uint32_t expected_bytes);
void mbarrier_arrive_at(uint32_t bar, int block);  // of the cluster
void mbarrier_wait(uint32_t bar, uint32_t parity);
// cp.async.bulk: boxes of a tensor map into this block, or into those of the cluster that have a bit; and back.
void load_box(uint32_t to, const CUtensorMap* map, uint32_t bar, std::initializer_list<int> at, int blocks = 0);
void store_box(const CUtensorMap* map, uint32_t from, std::initializer_list<int> at);
void store_commit();
void store_wait(int pending);
// wgmma: d[64,n] (+)= a·b; a in registers unless `words` is null.
void wgmma(int n, float* d, uint64_t a, const uint32_t* words, uint64_t b, bool add, bool b_is_n_major);
void wgmma_commit();
void wgmma_wait(int pending);
// cp.async of sm_80: `bytes`, of which those from `valid` on are zeros.
void copy(uint32_t to, const void* from, uint32_t bytes, uint32_t valid);
void copy_commit();
void copy_wait(int pending);
void ldmatrix(uint32_t* words, uint32_t address, bool transposed);
void mma(float* sum, const uint32_t* a, uint32_t b0, uint32_t b1);

// ---- kernels by address, for the runtime ----

using Caller = void (*)(const void* kernel, void* const* values);
void remember(const void* kernel, Caller caller);
template <class P>
P value_at(const void* p) {  // which need not be aligned
  alignas(P) unsigned char bytes[sizeof(P)];
  std::memcpy(bytes, p, sizeof(P));
  return *reinterpret_cast<P*>(bytes);
}
template <class... P, size_t... I>
void call(void (*kernel)(P...), void* const* values, std::index_sequence<I...>) {
  kernel(value_at<P>(values[I])...);
}
template <class... P>
void remember(void (*kernel)(P...)) {
  remember(reinterpret_cast<const void*>(kernel), [](const void* address, void* const* values) {
    call(reinterpret_cast<void (*)(P...)>(const_cast<void*>(address)), values, std::index_sequence_for<P...>{});
  });
}
// In the place of dlopen and dlsym for cuBLASLt.
void* open_cublaslt(const char* name, int);
void* find_cublaslt(void* opened, const char* name);

}  // namespace emulator

// ---- CUDA's own names ----

#define threadIdx (emulator::thread_index())
#define blockIdx (emulator::block_index())
#define blockDim (emulator::block_size())
#define gridDim (emulator::grid_size())

inline void __syncthreads() { emulator::barrier(0); }
inline void __syncwarp(uint32_t mask = 0xffffffffu) { emulator::exchange(mask, nullptr, 0); }
template <class T>
T __shfl_sync(uint32_t mask, T v, int from) {
  return emulator::value_at<T>(emulator::exchange(mask, &v, sizeof v)[from & 31]);
}
template <class T>
T __shfl_xor_sync(uint32_t mask, T v, int with) {
  return emulator::value_at<T>(emulator::exchange(mask, &v, sizeof v)[emulator::lane() ^ with]);
}
template <class T>
T __shfl_up_sync(uint32_t mask, T v, int by) {
  const emulator::Slots all = emulator::exchange(mask, &v, sizeof v);
  return emulator::value_at<T>(all[emulator::lane() < by ? emulator::lane() : emulator::lane() - by]);
}
// Calls f(lane, value) for each lane of the mask.
template <class T, class F>
void emulator_each(uint32_t mask, T v, F&& f) {
  const emulator::Slots all = emulator::exchange(mask, &v, sizeof v);
  for (int i = 0; i < 32; i++)
    if (mask >> i & 1) f(i, emulator::value_at<T>(all[i]));
}
inline int __any_sync(uint32_t mask, int v) {
  int any = 0;
  emulator_each(mask, v, [&](int, int x) { any |= x != 0; });
  return any;
}
inline uint32_t __reduce_add_sync(uint32_t mask, uint32_t v) {
  uint32_t sum = 0;
  emulator_each(mask, v, [&](int, uint32_t x) { sum += x; });
  return sum;
}
template <class T>
uint32_t __match_any_sync(uint32_t mask, T v) {
  uint32_t equal = 0;
  emulator_each(mask, v, [&](int i, T x) { equal |= uint32_t(x == v) << i; });
  return equal;
}

inline void __threadfence() {}
inline void __threadfence_system() {}
template <class T>
T atomicAdd(T* p, T v) {
  const T old = *p;
  *p = old + v;
  return old;
}
inline uint32_t atomicCAS(uint32_t* p, uint32_t wanted, uint32_t v) {
  const uint32_t old = *p;
  if (old == wanted) *p = v;
  return old;
}
template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
T __ldcg(const T* p) {
  return *p;
}
inline size_t __cvta_generic_to_shared(const void* p) { return emulator::shared_address(p); }
inline size_t __cvta_generic_to_global(const void* p) { return reinterpret_cast<size_t>(p); }

inline float __uint_as_float(uint32_t x) { return emulator::value_at<float>(&x); }
inline float __int_as_float(int32_t x) { return emulator::value_at<float>(&x); }
inline uint32_t __float_as_uint(float x) { return emulator::value_at<uint32_t>(&x); }
inline int __popc(uint32_t x) { return __builtin_popcount(x); }
inline uint32_t __funnelshift_l(uint32_t low, uint32_t high, uint32_t by) {
  return uint32_t(((uint64_t{high} << 32 | low) << (by & 31)) >> 32);
}
// Kept apart from what surrounds them, as on the device.
inline float __fadd_rn(float a, float b) {
  volatile float sum = a + b;
  return sum;
}
inline float __fsub_rn(float a, float b) { return __fadd_rn(a, -b); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __frsqrt_rn(float x) { return float(1.0 / sqrt(double(x))); }
inline void sincospi(double x, double* s, double* c) { sincos(fmod(x, 2.0) * M_PI, s, c); }
template <class A, class B>
std::common_type_t<A, B> min(A a, B b) {
  return b < a ? b : a;
}
template <class A, class B>
std::common_type_t<A, B> max(A a, B b) {
  return a < b ? b : a;
}
