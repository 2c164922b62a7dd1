// The one stream: commands, staged uploads, downloads, faults, and training steps that repeat.
//
// Everything an op enqueues is a command: a run of bytes that says all of it. Outside of a step a command is executed at
// once. Inside, it is executed and logged; when two steps logged the same bytes, the log is captured as a CUDA graph.
// From then on a step's commands are only compared with the log, and the graph is launched at the step's end. The first
// command that differs, or a call that must wait, has the part that was put off executed as ever. Two lanes take turns,
// with staging memory and a graph each, so that the host may prepare a step while the device still reads the last one's.
// One file, for all of it works on one state: what is put off must be known wherever something waits.
#include <algorithm>
#include <cstring>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <cuda.h>

#include "hopper.h"
#include "products.h"
#include "stream.h"

namespace rs::gpu {

namespace {

enum class Kind : uint32_t { kKernel, kZero, kCopy, kUpload, kProduct };

// A command begins with this and is a multiple of 16 bytes; its bytes are all defined, for logs are compared.
struct Header {
  Kind kind;
  uint32_t op;     // index of the op's name
  uint64_t bytes;  // with this header
};

struct KernelCall {
  const void* kernel;
  uint32_t grid[3], block[3];
  uint64_t shared;
  uint32_t cluster, count;
  // Then `count` sizes of 8 bytes, then the values, each at a multiple of 16 bytes.
};

struct Transfer {
  void* target;
  const void* source;
  uint64_t bytes;
};

using Bytes = std::vector<uint8_t>;

struct PinnedBlock {
  void* data = nullptr;
  size_t bytes = 0;
};

struct Lane {
  Bytes log;  // of the lane's last step
  cudaGraphExec_t graph = nullptr;
  std::vector<PinnedBlock> uploads;  // staging of a step's uploads, by their turn
  cudaEvent_t done = nullptr;        // the end of the lane's last step
  bool used = false;
  bool refused = false;  // whether this log can't be captured
};

constexpr size_t kRingBlock = size_t{4} << 20;
constexpr int kRingBlocks = 8, kEpochs = 4;
enum class Mode { kOutside, kLogging, kReplaying };

struct Stream {
  cudaStream_t compute = nullptr, side = nullptr;
  Mode mode = Mode::kOutside;
  Lane lanes[2];
  int lane = 0;
  Bytes log;             // of the running step
  size_t position = 0;   // of the lane's log that a replayed step has come to
  size_t uploads = 0;    // of the running step so far
  bool lane_free = false;  // whether the lane's staging is known to be unread
  bool waited = false;     // whether something waited inside the running step, which then is no graph
  uint64_t epoch = 0;
  int64_t replayed = 0;
  cudaEvent_t epoch_end[kEpochs] = {};
  PinnedBlock ring[kRingBlocks];
  cudaEvent_t ring_free[kRingBlocks] = {};
  int ring_next = 0;
  PinnedBlock small;
  Bytes command;  // being put together
  std::vector<const char*> ops;
  std::unordered_map<const char*, uint32_t> op_index;
  uint32_t op = 0, announced = UINT32_MAX;
  uint32_t* words = nullptr;  // host memory that the device writes: 0 … 7 the id check, 8 the running op
  uint32_t* taken = nullptr;  // device memory of the id check
  std::unordered_set<const void*> raised;  // kernels whose limit of shared memory was raised
  CUresult (*write_value)(CUstream, CUdeviceptr, cuuint32_t, unsigned) = nullptr;
  CUresult (*encode_tiled)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*, const cuuint64_t*, const cuuint64_t*,
                           const cuuint32_t*, const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle,
                           CUtensorMapL2promotion, CUtensorMapFloatOOBfill) = nullptr;
};

Stream& stream() {
  static Stream* made = new Stream;  // never destroyed, like all of the library's state
  return *made;
}

void* driver_function(const char* name) {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result;
  const cudaError_t status = cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, &result);
  if (status != cudaSuccess || result != cudaDriverEntryPointSuccess) {
    fail(RS_UNSUPPORTED, "the driver has no %s: install a newer one", name);
  }
  return found;
}

void reserve(PinnedBlock& block, size_t bytes) {
  if (block.bytes >= bytes) return;
  if (block.data != nullptr) cudaFreeHost(block.data);
  block = {};
  check_cuda(cudaMallocHost(&block.data, bytes), "pinned memory");
  block.bytes = bytes;
}

// ---- commands ----

uint32_t op_number(const char* name) {
  Stream& s = stream();
  const auto [found, added] = s.op_index.try_emplace(name, uint32_t(s.ops.size()));
  if (added) s.ops.push_back(name);
  return found->second;
}

void announce(uint32_t op) {
  Stream& s = stream();
  if (op == s.announced) return;
  s.announced = op;
  // So that a fault can name its op. The device writes it when all before is done.
  s.write_value(reinterpret_cast<CUstream>(s.compute), reinterpret_cast<CUdeviceptr>(s.words + 8), op, 0);
}

void execute_kernel(const uint8_t* at) {
  KernelCall call;
  std::memcpy(&call, at, sizeof call);
  at += sizeof call;
  void* values[64];
  const uint8_t* value = at + 8 * call.count;
  value += (16 - (8 * call.count) % 16) % 16;
  for (uint32_t i = 0; i < call.count; i++) {
    uint64_t size;
    std::memcpy(&size, at + 8 * i, 8);
    values[i] = const_cast<uint8_t*>(value);
    value += (size + 15) / 16 * 16;
  }
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim = {call.cluster, 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(call.grid[0], call.grid[1], call.grid[2]);
  config.blockDim = dim3(call.block[0], call.block[1], call.block[2]);
  config.dynamicSmemBytes = call.shared;
  config.stream = stream().compute;
  config.attrs = &attribute;
  config.numAttrs = call.cluster > 1 ? 1 : 0;
  check_cuda(cudaLaunchKernelExC(&config, call.kernel, values), "launch");
}

void execute(const uint8_t* command, bool capturing) {
  Header header;
  std::memcpy(&header, command, sizeof header);
  const uint8_t* payload = command + sizeof header;
  if (!capturing) announce(header.op);
  const cudaStream_t compute = stream().compute;
  if (header.kind == Kind::kKernel) return execute_kernel(payload);
  if (header.kind == Kind::kProduct) {
    PreparedProduct product;
    std::memcpy(&product, payload, sizeof product);
    return run_product(product, compute);
  }
  Transfer transfer;
  std::memcpy(&transfer, payload, sizeof transfer);
  if (header.kind == Kind::kZero) {
    check_cuda(cudaMemsetAsync(transfer.target, 0, transfer.bytes, compute), "zeros");
    return;
  }
  const cudaMemcpyKind way = header.kind == Kind::kCopy ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice;
  check_cuda(cudaMemcpyAsync(transfer.target, transfer.source, transfer.bytes, way, compute), "copy");
}

void execute_log(const uint8_t* log, size_t bytes, bool capturing) {
  for (size_t at = 0; at < bytes;) {
    Header header;
    std::memcpy(&header, log + at, sizeof header);
    execute(log + at, capturing);
    at += header.bytes;
  }
}

// Ends putting off: what was compared so far is executed, and the step goes on as one that is logged.
void stop_replaying() {
  Stream& s = stream();
  if (s.mode != Mode::kReplaying) return;
  Lane& lane = s.lanes[s.lane];
  s.log.assign(lane.log.begin(), lane.log.begin() + ptrdiff_t(s.position));
  s.mode = Mode::kLogging;
  cudaGraphExecDestroy(lane.graph);
  lane.graph = nullptr;
  execute_log(s.log.data(), s.log.size(), false);
}

// Before what must find the stream as far as the calls have come. A step with such a place is not captured: its graph
// would be given up there every time.
void catch_up() {
  stream().waited = true;
  stop_replaying();
}

void submit() {
  Stream& s = stream();
  Bytes& command = s.command;
  command.resize((command.size() + 15) / 16 * 16, 0);
  const uint64_t bytes = command.size();
  std::memcpy(command.data() + offsetof(Header, bytes), &bytes, sizeof bytes);
  if (s.mode == Mode::kReplaying) {
    const Bytes& log = s.lanes[s.lane].log;
    if (s.position + bytes <= log.size() && std::memcmp(log.data() + s.position, command.data(), bytes) == 0) {
      s.position += bytes;
      return;
    }
    stop_replaying();
  }
  if (s.mode == Mode::kLogging) s.log.insert(s.log.end(), command.begin(), command.end());
  execute(command.data(), false);
}

void begin_command(Kind kind) {
  Stream& s = stream();
  s.command.resize(sizeof(Header));
  const Header header{kind, s.op, 0};
  std::memcpy(s.command.data(), &header, sizeof header);
}

void append(const void* data, size_t bytes) {
  Bytes& command = stream().command;
  const auto* from = static_cast<const uint8_t*>(data);
  command.insert(command.end(), from, from + bytes);
}

void submit_transfer(Kind kind, void* target, const void* source, size_t bytes) {
  begin_command(kind);
  const Transfer transfer{target, source, bytes};
  append(&transfer, sizeof transfer);
  submit();
}

// ---- steps ----

// Makes the lane's log a graph, with the device's memory for it; what can't be one is executed step by step.
void capture(Lane& lane) {
  Stream& s = stream();
  cudaGraph_t graph = nullptr;
  lane.refused = true;
  check_cuda(cudaStreamBeginCapture(s.compute, cudaStreamCaptureModeThreadLocal), "capture");
  try {
    execute_log(lane.log.data(), lane.log.size(), true);
  } catch (...) {
    cudaStreamEndCapture(s.compute, &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
    return;
  }
  cudaGraphExec_t made = nullptr;
  if (cudaStreamEndCapture(s.compute, &graph) == cudaSuccess && cudaGraphInstantiate(&made, graph, 0) == cudaSuccess) {
    lane.refused = cudaGraphUpload(made, s.compute) != cudaSuccess;
    if (lane.refused) cudaGraphExecDestroy(made);
    else lane.graph = made;
  }
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaGetLastError();
}

void replay(Lane& lane) {
  Stream& s = stream();
  announce(op_number("a replayed training step"));
  if (cudaGraphLaunch(lane.graph, s.compute) == cudaSuccess) {
    s.replayed++;
    return;
  }
  // Nothing of it ran, so its commands must; a device that is lost says so again.
  cudaGetLastError();
  cudaGraphExecDestroy(lane.graph);
  lane.graph = nullptr;
  execute_log(lane.log.data(), lane.log.size(), false);
}

void end_epoch() {
  Stream& s = stream();
  check_cuda(cudaEventRecord(s.epoch_end[s.epoch % kEpochs], s.compute), "event");
  s.epoch++;
}

void begin_step() {
  Stream& s = stream();
  if (s.mode != Mode::kOutside) fail(RS_INVALID, "a step is running already");
  end_epoch();
  s.lane = 1 - s.lane;
  s.log.clear();
  s.position = s.uploads = 0;
  s.lane_free = s.waited = false;
  s.mode = s.lanes[s.lane].graph != nullptr ? Mode::kReplaying : Mode::kLogging;
}

void complete_step(Lane& lane) {
  Stream& s = stream();
  if (s.mode == Mode::kReplaying && s.position == lane.log.size()) return replay(lane);
  stop_replaying();
  const bool repeated = !s.log.empty() && s.log == lane.log;
  lane.log.swap(s.log);
  if (!repeated) lane.refused = false;
  else if (!lane.refused && !s.waited) capture(lane);
}

void end_step() {
  Stream& s = stream();
  if (s.mode == Mode::kOutside) return;  // one that began while calls were timed one by one
  Lane& lane = s.lanes[s.lane];
  const auto close = [&] {  // after a failure, too: what was enqueued reads its staging up to here
    s.mode = Mode::kOutside;
    check_cuda(cudaEventRecord(lane.done, s.compute), "event");
    lane.used = true;
    end_epoch();
  };
  try {
    complete_step(lane);
  } catch (...) {
    try {
      close();
    } catch (const Error&) {  // the first one says more
    }
    throw;
  }
  close();
}

// Staging memory of the running step's next upload, which the last step of this lane has read.
void* step_staging(size_t bytes) {
  Stream& s = stream();
  Lane& lane = s.lanes[s.lane];
  if (!s.lane_free && lane.used) check_cuda(cudaEventSynchronize(lane.done), "wait");
  s.lane_free = true;
  if (s.uploads == lane.uploads.size()) lane.uploads.emplace_back();
  PinnedBlock& block = lane.uploads[s.uploads];
  if (block.bytes < bytes && s.mode == Mode::kReplaying) stop_replaying();
  if (block.bytes < bytes) check_cuda(cudaStreamSynchronize(s.compute), "wait");
  reserve(block, bytes);
  s.uploads++;
  return block.data;
}

// ---- faults ----

void report_bad_id() {
  Stream& s = stream();
  volatile uint32_t* words = s.words;
  if (words == nullptr || words[0] == 0) return;
  const uint32_t op = words[1], limit = words[5];
  const auto id = int32_t(words[2]);
  const uint64_t place = words[3] | uint64_t{words[4]} << 32;
  words[0] = 0;
  check_cuda(cudaMemsetAsync(s.taken, 0, sizeof *s.taken, s.compute), "id check");
  fail(RS_INVALID, "%s: id %d at %llu is outside 0…%d", op < s.ops.size() ? s.ops[op] : "an op", id,
       static_cast<unsigned long long>(place), int(limit) - 1);
}

// Whether a call was refused before anything was enqueued, so that it is no other op's fault.
bool is_refusal(cudaError_t status) {
  return status == cudaErrorInvalidValue || status == cudaErrorInvalidConfiguration ||
         status == cudaErrorLaunchOutOfResources || status == cudaErrorInvalidDeviceFunction ||
         status == cudaErrorNoKernelImageForDevice;
}

}  // namespace

void check_cuda(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  const char* text = cudaGetErrorString(status);
  if (status == cudaErrorMemoryAllocation) fail(RS_OUT_OF_MEMORY, "out of memory (%s): %s", what, text);
  if (is_refusal(status)) fail(RS_INTERNAL, "%s was refused: %s (%s)", what, text, cudaGetErrorName(status));
  const Stream& s = stream();
  // Errors of work that ran come with whatever call is next.
  const uint32_t op = s.words != nullptr ? *static_cast<const volatile uint32_t*>(s.words + 8) : UINT32_MAX;
  fail(RS_DEVICE, "the GPU failed in %s: %s (%s)", op < s.ops.size() ? s.ops[op] : what, text, cudaGetErrorName(status));
}

void stream_open() {
  Stream& s = stream();
  check_cuda(cudaStreamCreateWithFlags(&s.compute, cudaStreamNonBlocking), "stream");
  check_cuda(cudaStreamCreateWithFlags(&s.side, cudaStreamNonBlocking), "stream");
  for (Lane& lane : s.lanes) check_cuda(cudaEventCreateWithFlags(&lane.done, cudaEventDisableTiming), "event");
  for (auto& event : s.epoch_end) check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event");
  for (auto& event : s.ring_free) check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event");
  s.write_value = reinterpret_cast<decltype(s.write_value)>(driver_function("cuStreamWriteValue32"));
  check_cuda(cudaHostAlloc(reinterpret_cast<void**>(&s.words), 64, cudaHostAllocMapped), "pinned memory");
  std::memset(s.words, 0, 64);
  s.words[8] = UINT32_MAX;
  check_cuda(cudaMalloc(reinterpret_cast<void**>(&s.taken), sizeof *s.taken), "memory");
  check_cuda(cudaMemsetAsync(s.taken, 0, sizeof *s.taken, s.compute), "id check");
}

int64_t stream_replayed() { return stream().replayed; }

uint64_t stream_epoch() { return stream().epoch; }

void stream_enter(const char* op) {
  stream().op = op_number(op);
}

void stream_step(bool begin) {
  if (begin) begin_step();
  else end_step();
}

void stream_wait() {
  catch_up();
  check_cuda(cudaStreamSynchronize(stream().compute), "wait");
  report_bad_id();
}

bool stream_settle() noexcept {
  try {
    catch_up();
  } catch (...) {
    return false;  // the next call that waits finds the device as it is
  }
  return cudaStreamSynchronize(stream().compute) == cudaSuccess;
}

void stream_before_free() { catch_up(); }

void stream_upload(void* target, const void* source, size_t bytes) {
  Stream& s = stream();
  if (s.mode != Mode::kOutside) {
    void* staging = step_staging(bytes);
    std::memcpy(staging, source, bytes);
    submit_transfer(Kind::kUpload, target, staging, bytes);
    return;
  }
  for (size_t at = 0; at < bytes; at += kRingBlock) {
    const size_t part = std::min(kRingBlock, bytes - at);
    const int turn = s.ring_next;
    s.ring_next = (turn + 1) % kRingBlocks;
    check_cuda(cudaEventSynchronize(s.ring_free[turn]), "wait");
    reserve(s.ring[turn], kRingBlock);
    std::memcpy(s.ring[turn].data, static_cast<const char*>(source) + at, part);
    submit_transfer(Kind::kUpload, static_cast<char*>(target) + at, s.ring[turn].data, part);
    check_cuda(cudaEventRecord(s.ring_free[turn], s.compute), "event");
  }
}

void stream_download(void* target, const void* source, size_t bytes, uint64_t epoch) {
  Stream& s = stream();
  constexpr size_t kSmall = 4096;
  if (epoch < s.epoch && s.mode != Mode::kOutside && bytes <= kSmall) {
    // Written before the running step: no need to wait for it.
    const uint64_t known = s.epoch >= kEpochs ? s.epoch - (kEpochs - 1) : 0;
    check_cuda(cudaStreamWaitEvent(s.side, s.epoch_end[std::max(epoch, known) % kEpochs], 0), "wait");
    reserve(s.small, kSmall);
    check_cuda(cudaMemcpyAsync(s.small.data, source, bytes, cudaMemcpyDeviceToHost, s.side), "download");
    check_cuda(cudaStreamSynchronize(s.side), "wait");
    std::memcpy(target, s.small.data, bytes);
    report_bad_id();
    return;
  }
  catch_up();
  check_cuda(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToHost, s.compute), "download");
  check_cuda(cudaStreamSynchronize(s.compute), "wait");
  report_bad_id();
}

// ---- what gpu.h and hopper.h promise ----

void enqueue_kernel(const void* kernel, const Launch& shape, const void* const* values, const size_t* sizes,
                    int count) {
  Stream& s = stream();
  if (shape.shared > 48 * 1024 && s.raised.count(kernel) == 0) {
    int limit = 0, device = 0;
    check_cuda(cudaGetDevice(&device), "device");
    check_cuda(cudaDeviceGetAttribute(&limit, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), "device");
    cudaFuncAttributes attributes;
    check_cuda(cudaFuncGetAttributes(&attributes, kernel), "kernel");
    check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    limit - int(attributes.sharedSizeBytes)), "shared memory");
    s.raised.insert(kernel);
  }
  begin_command(Kind::kKernel);
  const KernelCall call{kernel,
                        {shape.grid.x, shape.grid.y, shape.grid.z},
                        {shape.block.x, shape.block.y, shape.block.z},
                        shape.shared,
                        shape.cluster,
                        uint32_t(count)};
  append(&call, sizeof call);
  for (int i = 0; i < count; i++) {
    const uint64_t size = sizes[i];
    append(&size, sizeof size);
  }
  Bytes& command = s.command;
  command.resize((command.size() + 15) / 16 * 16, 0);
  for (int i = 0; i < count; i++) {
    append(values[i], sizes[i]);
    command.resize((command.size() + 15) / 16 * 16, 0);
  }
  submit();
}

void enqueue_zero(void* target, size_t bytes) {
  if (bytes > 0) submit_transfer(Kind::kZero, target, nullptr, bytes);
}

void enqueue_copy(void* target, const void* source, size_t bytes) {
  if (bytes > 0) submit_transfer(Kind::kCopy, target, source, bytes);
}

void enqueue_product(const PreparedProduct& product) {
  begin_command(Kind::kProduct);
  append(&product, sizeof product);
  submit();
}

cudaStream_t compute_stream() {
  catch_up();
  return stream().compute;
}

IdCheck id_check() { return {stream().words, stream().taken, stream().op}; }

void synchronize() { stream_wait(); }

void download(void* host, const void* device, size_t bytes) { stream_download(host, device, bytes, stream().epoch); }
void upload(void* device, const void* host, size_t bytes) { stream_upload(device, host, bytes); }

CUtensorMap tensor_map(const void* data, int axes, const int64_t* sizes, const int64_t* strides, const int32_t* box,
                       bool swizzled) {
  Stream& s = stream();
  if (s.encode_tiled == nullptr) {
    s.encode_tiled = reinterpret_cast<decltype(s.encode_tiled)>(driver_function("cuTensorMapEncodeTiled"));
  }
  cuuint64_t extents[5], steps[5];
  cuuint32_t boxes[5], ones[5];
  for (int i = 0; i < axes; i++) {
    extents[i] = cuuint64_t(sizes[i]);
    boxes[i] = cuuint32_t(box[i]);
    ones[i] = 1;
    if (i > 0) steps[i - 1] = cuuint64_t(strides[i - 1]) * sizeof(bf16);
  }
  CUtensorMap map;
  std::memset(&map, 0, sizeof map);
  const CUresult status = s.encode_tiled(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, cuuint32_t(axes),
                                         const_cast<void*>(data), extents, steps, boxes, ones,
                                         CU_TENSOR_MAP_INTERLEAVE_NONE,
                                         swizzled ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_NONE,
                                         CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) fail(RS_INTERNAL, "no tensor map for these sizes (driver status %d)", int(status));
  return map;
}

}  // namespace rs::gpu
