// The machine behind the CUDA build: choice of the GPU, its memory, and what it can do.
#include <cstdio>
#include <cstring>
#include <string>

#include "gpu.h"
#include "products.h"
#include "stream.h"

namespace rs {

namespace gpu {

namespace {

struct Device {
  int index = 0, multiprocessors = 0, capability = 0;
  bool portable = false;  // leaves out the kernels of one family
  std::string name;
};
Device device;

__global__ void inject_fault_kernel(float* nowhere) { *nowhere = 1; }

__global__ void __launch_bounds__(512) copy_peak_kernel(uint4* to, const uint4* from, int64_t count) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) to[i] = from[i];
}

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// GB/s read and written by a copy of 1 GB, the best of several.
double measure_copy_rate() {
  constexpr size_t kBytes = size_t{1} << 30;
  Scratch to(kBytes), from(kBytes);
  enqueue_zero(from.data(), kBytes);
  cudaEvent_t begin, end;
  check_cuda(cudaEventCreate(&begin), "event");
  check_cuda(cudaEventCreate(&end), "event");
  float best = 1e30f;
  for (int i = 0; i < 8; i++) {
    const cudaStream_t stream = compute_stream();
    check_cuda(cudaEventRecord(begin, stream), "event");
    launch(copy_peak_kernel, {dim3(unsigned(multiprocessors()) * 8), dim3(512)}, static_cast<uint4*>(to.data()),
           static_cast<const uint4*>(from.data()), int64_t(kBytes / sizeof(uint4)));
    check_cuda(cudaEventRecord(end, stream), "event");
    synchronize();
    float milliseconds = 0;
    check_cuda(cudaEventElapsedTime(&milliseconds, begin, end), "event");
    if (milliseconds < best) best = milliseconds;
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return 2.0 * double(kBytes) / best / 1e6;
}

}  // namespace

int multiprocessors() { return device.multiprocessors; }
bool has_hopper_kernels() { return device.capability == 90 && !device.portable; }

}  // namespace gpu

using namespace gpu;

const Ops& device_ops() { return gpu::ops; }

void device_init(int32_t index, int32_t) {
  int count = 0, driver = 0, runtime = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (driver == 0) fail(RS_UNSUPPORTED, "no NVIDIA driver was found");
  if (status == cudaErrorInsufficientDriver) {
    fail(RS_UNSUPPORTED, "the NVIDIA driver is too old: it knows CUDA %s, and %s is needed",
         version_text(driver).c_str(), version_text(runtime).c_str());
  }
  if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) fail(RS_UNSUPPORTED, "there is no GPU");
  if (status != cudaSuccess) fail(RS_UNSUPPORTED, "no GPU answers: %s", cudaGetErrorString(status));
  if (index >= count) fail(RS_INVALID, "there is no GPU %d: %d are visible", index, count);
  cudaDeviceProp properties;
  check_cuda(cudaGetDeviceProperties(&properties, index), "device");
  device.capability = properties.major * 10 + properties.minor;
  if (device.capability < 80) {
    fail(RS_UNSUPPORTED, "%s has compute capability %d.%d, and 8.0 is needed", properties.name, properties.major,
         properties.minor);
  }
  check_cuda(cudaSetDevice(index), "device");
  device.index = index;
  device.multiprocessors = properties.multiProcessorCount;
  device.name = properties.name;
  stream_open();
}

void device_set_isa(int32_t isa) {
  if (isa != 0 && isa != 1) fail(RS_UNSUPPORTED, "the CUDA build has kernels 0 (best) and 1 (portable), not %d", isa);
  synchronize();
  device.portable = isa == 1;
}

std::string device_describe() {
  char text[160];
  snprintf(text, sizeof text, "cuda %d %s sm_%d%s", device.index, device.name.c_str(), device.capability,
           device.portable ? " portable" : "");
  return text;
}

bool device_has_bf16() { return true; }
bool device_reads_cheaply() { return false; }
void device_enter(const char* op) {
  thread_local bool chosen = false;  // the GPU is a choice of each thread
  if (!chosen) check_cuda(cudaSetDevice(device.index), "device");
  chosen = true;
  stream_enter(op);
}
void device_step(bool begin) { stream_step(begin); }
double device_replayed_steps() { return double(stream_replayed()); }
uint64_t device_current_step() { return stream_epoch(); }
void device_sync() { stream_wait(); }
void device_settle() noexcept { stream_settle(); }
bool device_peek(void* target, const void* source, size_t bytes) noexcept {
  return stream_settle() && cudaMemcpy(target, source, bytes, cudaMemcpyDeviceToHost) == cudaSuccess;
}
void device_inject_fault() { launch(inject_fault_kernel, {dim3(1), dim3(1)}, reinterpret_cast<float*>(uintptr_t{16})); }

void device_upload(void* target, const void* source, size_t bytes) { stream_upload(target, source, bytes); }
void device_download(void* target, const void* source, size_t bytes, uint64_t step) {
  stream_download(target, source, bytes, step);
}
void device_zero(void* target, size_t bytes) { enqueue_zero(target, bytes); }

size_t device_free_bytes() {
  size_t free_bytes = 0, total = 0;
  if (cudaMemGetInfo(&free_bytes, &total) != cudaSuccess) cudaGetLastError();
  return free_bytes;
}

void* device_allocate(size_t bytes) {
  void* block = nullptr;
  const cudaError_t status = cudaMalloc(&block, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check_cuda(status, "memory");
  return block;
}

void device_free(void* block, size_t) {
  stream_before_free();
  if (cudaFree(block) != cudaSuccess) cudaGetLastError();
}

void device_measure_peaks(double out[2], double seconds) {
  out[0] = measure_product_rate(seconds) / 1e9;
  out[1] = measure_copy_rate();
}

}  // namespace rs
