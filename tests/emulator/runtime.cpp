// The CUDA runtime's functions that the library calls. Every stream is this thread: work is done when it is enqueued.
#include "runtime.h"

#include <sys/mman.h>
#include <time.h>

#include <cstdlib>
#include <memory>
#include <unordered_map>
#include <vector>

#undef gridDim
#undef blockDim

namespace emulator {
namespace {

using Graph = std::vector<std::function<void()>>;

constexpr size_t kMemory = size_t{8} << 30;
constexpr size_t kMostShared = 227 << 10;  // of a block
size_t used = 0;
std::unordered_map<void*, size_t>& blocks() {
  static std::unordered_map<void*, size_t> made;
  return made;
}
std::unique_ptr<Graph> captured;  // of the capture that is under way
cudaError_t last_error = cudaSuccess;

cudaError_t failed(cudaError_t error) { return last_error = error; }

CUresult write_value(CUstream, CUdeviceptr at, cuuint32_t value, unsigned) {
  *reinterpret_cast<uint32_t*>(at) = value;
  return CUDA_SUCCESS;
}

// Refuses what the driver does ("Tensor Map Object Management" of its manual), and what the device here can't.
CUresult encode(CUtensorMap* out, CUtensorMapDataType type, cuuint32_t axes, void* data, const cuuint64_t* sizes,
                const cuuint64_t* strides, const cuuint32_t* box, const cuuint32_t* steps, CUtensorMapInterleave,
                CUtensorMapSwizzle swizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  TensorMap map{};
  map.data = static_cast<uint8_t*>(data);
  map.axes = int16_t(axes);
  map.swizzled = swizzle == CU_TENSOR_MAP_SWIZZLE_128B;
  bool good = type == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 && axes >= 1 && axes <= 5 &&
              reinterpret_cast<uintptr_t>(data) % 16 == 0 && box[0] * 2 % 16 == 0 &&
              (map.swizzled ? box[0] * 2 == 128 : swizzle == CU_TENSOR_MAP_SWIZZLE_NONE);
  for (cuuint32_t i = 0; good && i < axes; i++) {
    map.sizes[i] = int64_t(sizes[i]);
    map.box[i] = int16_t(box[i]);
    good = sizes[i] >= 1 && sizes[i] <= uint64_t{1} << 32 && box[i] >= 1 && box[i] <= 256 && steps[i] == 1;
    if (i == 0) continue;
    map.strides[i] = int64_t(strides[i - 1]);
    good = good && strides[i - 1] % 16 == 0 && strides[i - 1] < uint64_t{1} << 40;
  }
  if (!good) return CUDA_ERROR_INVALID_VALUE;
  std::memset(out, 0, sizeof *out);
  std::memcpy(out, &map, sizeof map);
  return CUDA_SUCCESS;
}

}  // namespace

void enqueue(std::function<void()> work) {
  if (captured) captured->push_back(std::move(work));
  else work();
}

}  // namespace emulator

using namespace emulator;

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
#undef cudaGetDeviceProperties
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::memset(properties, 0, sizeof *properties);
  strcpy(properties->name, "emulated");
  properties->major = 9;
  properties->multiProcessorCount = 4;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  if (attribute != cudaDevAttrMaxSharedMemoryPerBlockOptin) return failed(cudaErrorInvalidValue);
  return *value = int(kMostShared), cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  std::memset(attributes, 0, sizeof *attributes);
  attributes->ptxVersion = attributes->binaryVersion = 90;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }

const char* cudaGetErrorName(cudaError_t) { return "an error of the emulated GPU"; }
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : "refused";
}
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }

cudaError_t cudaMalloc(void** block, size_t bytes) {
  if (bytes > kMemory - used) return failed(cudaErrorMemoryAllocation);
  *block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (*block == MAP_FAILED) return failed(cudaErrorMemoryAllocation);
  if (bytes <= 64 << 20) std::memset(*block, 0xFF, bytes);  // NaN
  used += blocks()[*block] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFree(void* block) {
  const auto found = blocks().find(block);
  if (found == blocks().end()) return failed(cudaErrorInvalidValue);
  munmap(block, found->second);  // so that who uses it still is found out
  used -= found->second;
  blocks().erase(found);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total) {
  return *free_bytes = kMemory - used, *total = kMemory, cudaSuccess;
}
cudaError_t cudaMallocHost(void** block, size_t bytes) {
  *block = malloc(bytes);
  return *block ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}
cudaError_t cudaHostAlloc(void** block, size_t bytes, unsigned) { return cudaMallocHost(block, bytes); }
cudaError_t cudaFreeHost(void* block) { return free(block), cudaSuccess; }
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  return std::memmove(to, from, bytes), cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
  return enqueue([=] { std::memmove(to, from, bytes); }), cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t) {
  return enqueue([=] { std::memset(to, value, bytes); }), cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return *stream = reinterpret_cast<cudaStream_t>(malloc(1)), cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return *event = reinterpret_cast<cudaEvent_t>(new timespec{}), cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return cudaEventCreate(event); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return delete reinterpret_cast<timespec*>(event), cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  return clock_gettime(CLOCK_MONOTONIC, reinterpret_cast<timespec*>(event)), cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  const auto &a = *reinterpret_cast<timespec*>(begin), &b = *reinterpret_cast<timespec*>(end);
  *milliseconds = float(double(b.tv_sec - a.tv_sec) * 1e3 + double(b.tv_nsec - a.tv_nsec) / 1e6);
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  return captured = std::make_unique<Graph>(), cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  return *graph = reinterpret_cast<cudaGraph_t>(captured.release()), cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
  return *made = reinterpret_cast<cudaGraphExec_t>(new Graph(*reinterpret_cast<Graph*>(graph))), cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t) {
  for (const auto& work : *reinterpret_cast<Graph*>(graph)) work();
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete reinterpret_cast<Graph*>(graph), cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  return delete reinterpret_cast<Graph*>(graph), cudaSuccess;
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* kernel, void** values) {
  const dim3 grid = config->gridDim, block = config->blockDim;
  const size_t shared = config->dynamicSmemBytes;
  uint32_t cluster = 1;
  for (unsigned i = 0; i < config->numAttrs; i++) {
    if (config->attrs[i].id == cudaLaunchAttributeClusterDimension) cluster = config->attrs[i].val.clusterDim.x;
  }
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (uint64_t{grid.x} * grid.y * grid.z == 0 || grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535 ||
      threads == 0 || threads > 1024 || block.z > 64 || shared > kMostShared || grid.x % cluster != 0) {
    return failed(cudaErrorInvalidConfiguration);
  }
  // While a graph is captured, the values lie in the log that it is made from, which is kept with it.
  const std::vector<void*> places(values, values + 64);
  enqueue([=] { run_grid(kernel, grid, block, uint32_t(shared), cluster, places.data()); });
  return cudaSuccess;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult* result) {
  *function = !strcmp(name, "cuStreamWriteValue32")     ? reinterpret_cast<void*>(&write_value)
              : !strcmp(name, "cuTensorMapEncodeTiled") ? reinterpret_cast<void*>(&encode)
                                                        : nullptr;
  *result = *function ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}

}  // extern "C"
