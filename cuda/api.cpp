// The ABI's runtime and tensors: memory, counters, handles, fill, copy, random numbers. kernels.h is the manual.
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <cinttypes>
#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>

#include "core.h"

using namespace rs;

#ifndef RS_ABI_HASH
#error "the build passes RS_ABI_HASH, see CMakeLists.txt"
#endif

namespace {

uint64_t seed_of(uint32_t low, uint32_t high) { return uint64_t{high} << 32 | low; }

// Elements [offset, …) of x that a buffer of `bytes` covers.
struct Span {
  Tensor* tensor;
  char* start;
  size_t bytes;
};

Span span_of(rs_tensor x, double offset, const void* buffer, double buffer_bytes) {
  Tensor* tensor = find_tensor(x, "x");
  const int64_t size = dtype_size(tensor->dtype), first = whole(offset, "offset"), bytes = whole(buffer_bytes, "bytes");
  if (bytes % size != 0) {
    fail(RS_INVALID, "%" PRId64 " bytes are no whole elements of %s", bytes, dtype_name(tensor->dtype));
  }
  if (first > tensor->count || bytes / size > tensor->count - first) {
    fail(RS_INVALID, "elements [%" PRId64 ", %" PRId64 ") are outside x, which has %" PRId64, first,
         first + bytes / size, tensor->count);
  }
  if (buffer == nullptr && bytes > 0) fail(RS_INVALID, "the buffer is null");
  return {tensor, static_cast<char*>(tensor->data) + first * size, size_t(bytes)};
}

void require_fits(double value, int32_t dtype) {
  if (dtype == RS_F32 || dtype == RS_BF16) return;
  const double high = dtype == RS_I32 ? 2147483647.0 : dtype == RS_U16 ? 65535.0 : 255.0;
  const double low = dtype == RS_I32 ? -2147483648.0 : 0.0;
  if (!(value >= low && value <= high) || value != std::floor(value)) {
    fail(RS_INVALID, "%g is no %s", value, dtype_name(dtype));
  }
}

}  // namespace

// ---- runtime ----

RS_API uint32_t rs_abi_hash(void) { return RS_ABI_HASH; }

RS_API rs_status rs_runtime_init(int32_t device, int32_t threads) {
  RS_RUN("runtime_init", [&] {
    if (runtime_ready()) fail(RS_INVALID, "the runtime is open already");
    require_size(device, "device");
    require_size(threads, "threads");
    if (threads > 1024) fail(RS_INVALID, "threads must be at most 1024, is %d", threads);
    device_init(device, threads);
    runtime_mark_ready();
  }, true);
}

RS_API rs_status rs_runtime_set_isa(int32_t isa) {
  RS_RUN("runtime_set_isa", [&] { device_set_isa(isa); });
}

RS_API int32_t rs_runtime_describe(void* buffer, double capacity) {
  int32_t length = 0;
  static OpRecord record{"runtime_describe", 0, 0, nullptr, false};
  run_op(record, [&] { length = copy_text(device_describe(), buffer, capacity); });
  return length;
}

RS_API int32_t rs_last_error(void* buffer, double capacity) { return copy_text(last_error(), buffer, capacity); }

RS_API rs_status rs_last_status(void) { return last_status(); }

RS_API rs_status rs_sync(void) {
  RS_RUN("sync", [&] { device_sync(); });
}

RS_API rs_status rs_counters(void* out, double out_bytes) {
  RS_RUN("counters", [&] {
    require_buffer(out, out_bytes, 8 * sizeof(double), "out");
    const MemoryState memory = memory_state();
    const double values[8] = {memory.live_bytes, memory.peak_bytes,    memory.held_bytes,    double(live_tensors()),
                              memory.damaged_guards, counted_operations(), device_replayed_steps(), 0};
    std::memcpy(out, values, sizeof values);
  });
}

RS_API rs_status rs_memory_reset_peak(void) {
  RS_RUN("memory_reset_peak", [&] { memory_reset_peak(); });
}

RS_API rs_status rs_memory_set_limit(double bytes) {
  RS_RUN("memory_set_limit", [&] { memory_set_limit(bytes); });
}

RS_API rs_status rs_memory_trim(void) {
  RS_RUN("memory_trim", [&] { memory_trim(); });
}

RS_API rs_status rs_memory_set_guards(int32_t on) {
  RS_RUN("memory_set_guards", [&] {
    require_flag(on, "on");
    memory_set_guards(on == 1);
  });
}

RS_API rs_status rs_step_begin(void) {
  RS_RUN("step_begin", [&] {
    if (!profiling()) device_step(true);  // a profile waits for every op
  });
}

RS_API rs_status rs_step_end(void) {
  RS_RUN("step_end", [&] { device_step(false); });
}

RS_API int32_t rs_plans_save(void* buffer, double capacity) {
  int32_t length = 0;
  static OpRecord record{"plans_save", 0, 0, nullptr, false};
  run_op(record, [&] {
    const std::string text = device_plans();
    copy_text(text, buffer, capacity);
    length = int32_t(text.size());
  });
  return length;
}

RS_API rs_status rs_plans_load(const void* text, double text_bytes) {
  RS_RUN("plans_load", [&] {
    const int64_t bytes = whole(text_bytes, "text_bytes");
    require_buffer(text, text_bytes, bytes, "text");
    device_set_plans(bytes == 0 ? std::string() : std::string(static_cast<const char*>(text), size_t(bytes)));
  });
}

RS_API rs_status rs_plans_measure(int32_t on) {
  RS_RUN("plans_measure", [&] {
    require_flag(on, "on");
    device_measure_plans(on == 1);
  });
}

RS_API rs_status rs_runtime_inject_fault(void) {
  RS_RUN("runtime_inject_fault", [&] { device_inject_fault(); });
}

RS_API rs_status rs_end_with_parent(void) {
  RS_RUN("end_with_parent", [&] {
#ifdef __linux__
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail(RS_INTERNAL, "the system refused");
#else
    fail(RS_UNSUPPORTED, "only Linux can do this");
#endif
  });
}

RS_API rs_status rs_profile_enable(int32_t on) {
  RS_RUN("profile_enable", [&] {
    require_flag(on, "on");
    profile_enable(on == 1);
  });
}

RS_API int32_t rs_profile_report(void* buffer, double capacity) {
  int32_t length = 0;
  static OpRecord record{"profile_report", 0, 0, nullptr, false};
  run_op(record, [&] { length = copy_text(profile_report(), buffer, capacity); });
  return length;
}

RS_API rs_status rs_measure_peaks(void* out, double out_bytes, double seconds) {
  RS_RUN("measure_peaks", [&] {
    require_buffer(out, out_bytes, 2 * sizeof(double), "out");
    if (!(seconds > 0 && seconds <= 60)) fail(RS_INVALID, "seconds must be in (0, 60], is %g", seconds);
    double peaks[2];
    device_measure_peaks(peaks, seconds);
    std::memcpy(out, peaks, sizeof peaks);
  });
}

// ---- tensors ----

RS_API rs_tensor rs_tensor_create(int32_t dtype, double count) {
  rs_tensor handle = 0;
  static OpRecord record{"tensor_create", 0, 0, nullptr, false};
  run_op(record, [&] { handle = create_tensor(dtype, whole(count, "count")); });
  return handle;
}

RS_API rs_status rs_tensor_destroy(rs_tensor x) {
  RS_RUN("tensor_destroy", [&] { destroy_tensor(x); });
}

RS_API rs_tensor rs_tensor_view(rs_tensor x, double offset, double count) {
  rs_tensor handle = 0;
  static OpRecord record{"tensor_view", 0, 0, nullptr, false};
  run_op(record, [&] { handle = view_tensor(x, whole(offset, "offset"), whole(count, "count")); });
  return handle;
}

RS_API rs_status rs_tensor_mark_parameter(rs_tensor x) {
  RS_RUN("tensor_mark_parameter", [&] { find_tensor(x, "x")->parameter = true; });
}

RS_API rs_status rs_tensor_upload(rs_tensor x, double offset, const void* source, double source_bytes) {
  RS_RUN("tensor_upload", [&] {
    const Span span = span_of(x, offset, source, source_bytes);
    Storage* storage = span.tensor->storage;
    const bool whole_block = span.bytes == storage->bytes;
    if (!whole_block) settle_zero(storage);
    mark_written(storage);  // also where the upload fails half-way
    if (span.bytes > 0) device_upload(span.start, source, span.bytes);
    if (whole_block) storage->pending_zero = false;
  });
}

RS_API rs_status rs_tensor_download(void* target, double target_bytes, rs_tensor x, double offset) {
  RS_RUN("tensor_download", [&] {
    const Span span = span_of(x, offset, target, target_bytes);
    settle_zero(span.tensor->storage);
    if (span.bytes > 0) device_download(target, span.start, span.bytes, span.tensor->storage->written_step);
  });
}

RS_API rs_status rs_tensor_fill(rs_tensor x, double value) {
  RS_RUN("tensor_fill", [&] {
    const Tensor* found = find_tensor(x, "x");
    require_fits(value, found->dtype);
    Arguments args;
    Tensor* tensor = args.out(x, "x", found->count, found->dtype);
    args.ready();
    device_ops().fill(tensor, value);
    args.done();
  });
}

RS_API rs_status rs_tensor_copy(rs_tensor y, rs_tensor x) {
  RS_RUN("tensor_copy", [&] {
    const Tensor *to = find_tensor(y, "y"), *from = find_tensor(x, "x");
    const auto real = [](int32_t dtype) { return dtype == RS_F32 || dtype == RS_BF16; };
    if (to->dtype != from->dtype && !(real(to->dtype) && real(from->dtype))) {
      fail(RS_INVALID, "x is %s and can't become %s", dtype_name(from->dtype), dtype_name(to->dtype));
    }
    Arguments args;
    const Tensor* source = args.in(x, "x", from->count, from->dtype);
    Tensor* target = args.out(y, "y", from->count, to->dtype);
    args.ready();
    device_ops().copy(target, source);
    args.done();
  });
}

RS_API rs_status rs_random_uniform(rs_tensor x, double low, double high, uint32_t seed_low, uint32_t seed_high) {
  RS_RUN("random_uniform", [&] {
    require_finite(low, "low");
    require_finite(high, "high");
    if (low > high) fail(RS_INVALID, "low must be at most high, got %g and %g", low, high);
    Arguments args;
    Tensor* tensor = args.out(x, "x", find_tensor(x, "x")->count);
    args.ready();
    device_ops().random_uniform(tensor, low, high, seed_of(seed_low, seed_high));
    args.done();
  });
}

RS_API rs_status rs_random_normal(rs_tensor x, double mean, double std, uint32_t seed_low, uint32_t seed_high) {
  RS_RUN("random_normal", [&] {
    require_finite(mean, "mean");
    require_finite(std, "std");
    if (std < 0) fail(RS_INVALID, "std must be at least 0, is %g", std);
    Arguments args;
    Tensor* tensor = args.out(x, "x", find_tensor(x, "x")->count);
    args.ready();
    device_ops().random_normal(tensor, mean, std, seed_of(seed_low, seed_high));
    args.done();
  });
}
