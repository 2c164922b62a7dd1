// Handles, checks of arguments, error texts, profile and the wrapper around each call. See core.h.
#include "core.h"

#include <chrono>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <deque>
#include <new>
#include <vector>

namespace rs {

namespace {

// A handle is slot number + 1 in the low 20 bits and the generation of the slot in the high 12. A slot is taken out of
// use after its last generation, so no handle repeats until 2^32 were given out; only then do old ones come back.
constexpr uint32_t kSlotBits = 20, kSlotMask = (1u << kSlotBits) - 1, kGenerations = 1u << (32 - kSlotBits);

struct Slot {
  Tensor tensor;
  uint32_t generation;
  bool live;
};

struct Runtime {
  std::mutex lock;
  bool ready = false;
  std::deque<Slot> slots;               // a deque: tensors keep their addresses
  std::vector<uint32_t> free, retired;  // slot numbers
  int64_t live = 0;
  double operations = 0;
  bool profiling = false;
  OpRecord* records = nullptr;  // those that were called while profiling
};

// Never destroyed: a worker thread may still be inside a call while the process ends.
Runtime& runtime() {
  static Runtime* made = new Runtime;
  return *made;
}

thread_local std::string error_text;
thread_local rs_status error_code = RS_OK;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

uint32_t take_slot() {
  Runtime& r = runtime();
  if (r.free.empty() && r.slots.size() < kSlotMask) {
    if (r.free.capacity() <= r.slots.size()) {  // so that giving a slot back can't fail
      r.free.reserve(r.slots.size() * 2 + 64);
      r.retired.reserve(r.slots.size() * 2 + 64);
    }
    r.slots.emplace_back();
    return uint32_t(r.slots.size() - 1);
  }
  if (r.free.empty()) r.free.swap(r.retired);
  if (r.free.empty()) fail(RS_OUT_OF_MEMORY, "out of handles: %u tensors are alive", kSlotMask);
  const uint32_t slot = r.free.back();
  r.free.pop_back();
  return slot;
}

rs_tensor publish(uint32_t number, const Tensor& tensor) {
  Slot& slot = runtime().slots[number];
  slot.tensor = tensor;
  slot.live = true;
  runtime().live++;
  return (slot.generation << kSlotBits) | (number + 1);
}

Slot* slot_of(rs_tensor handle) {
  const uint32_t number = handle & kSlotMask;
  Runtime& r = runtime();
  if (number == 0 || number > r.slots.size()) return nullptr;
  Slot& slot = r.slots[number - 1];
  return slot.live && slot.generation == handle >> kSlotBits ? &slot : nullptr;
}

bool overlap(const Tensor* a, const Tensor* b) {
  if (a->storage != b->storage) return false;
  const char *a_start = static_cast<const char*>(a->data), *b_start = static_cast<const char*>(b->data);
  return a_start < b_start + b->count * dtype_size(b->dtype) && b_start < a_start + a->count * dtype_size(a->dtype);
}

}  // namespace

// ---- errors ----

void fail(rs_status code, const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  throw Error{code, text};
}

rs_status report_exception(const char* op) {
  rs_status code = RS_INTERNAL;
  try {
    try {
      throw;
    } catch (const Error& error) {
      code = error.code;
      error_text = std::string(op) + ": " + error.text;
    } catch (const std::bad_alloc&) {
      code = RS_OUT_OF_MEMORY;
      error_text = std::string(op) + ": out of memory of the process";
    } catch (const std::exception& error) {
      error_text = std::string(op) + ": internal error: " + error.what();
    } catch (...) {
      error_text = std::string(op) + ": internal error";
    }
  } catch (...) {
    error_text.clear();  // not even the text could be allocated; the code says enough
  }
  error_code = code;
  return code;
}

int32_t copy_text(const std::string& text, void* buffer, double capacity) {
  if (buffer == nullptr || !(capacity >= 1)) return 0;
  size_t length = capacity < double(text.size()) ? size_t(capacity) : text.size();
  // Never cut inside a character.
  while (length > 0 && length < text.size() && (text[length] & 0xC0) == 0x80) length--;
  std::memcpy(buffer, text.data(), length);
  return int32_t(length);
}

const std::string& last_error() { return error_text; }
rs_status last_status() { return error_code; }

// ---- calls and profile ----

Call::Call(OpRecord& record, bool before_init) : record_(record), lock_(runtime().lock), start_(0) {
  if (!before_init && !runtime().ready) fail(RS_INVALID, "rs_runtime_init was not called");
  if (runtime().profiling) start_ = now();
}

Call::~Call() {
  if (start_ == 0 || !runtime().profiling) return;
  if (!record_.listed) {
    record_.listed = true;
    record_.next = runtime().records;
    runtime().records = &record_;
  }
  record_.seconds += now() - start_;
  record_.calls++;
}

bool runtime_ready() { return runtime().ready; }
void runtime_mark_ready() { runtime().ready = true; }

void profile_enable(bool on) {
  if (on) {
    for (OpRecord* record = runtime().records; record != nullptr; record = record->next) {
      record->seconds = 0;
      record->calls = 0;
    }
  }
  runtime().profiling = on;
}

std::string profile_report() {
  std::string text;
  for (const OpRecord* record = runtime().records; record != nullptr; record = record->next) {
    if (record->calls == 0) continue;
    char line[128];
    snprintf(line, sizeof line, "%s %lld %.9f\n", record->name, static_cast<long long>(record->calls), record->seconds);
    text += line;
  }
  return text;
}

void count_operations(double operations) { runtime().operations += operations; }
double counted_operations() { return runtime().operations; }

// ---- numbers ----

int64_t dtype_size(int32_t dtype) {
  switch (dtype) {
    case RS_F32: case RS_I32: return 4;
    case RS_BF16: case RS_U16: return 2;
    case RS_U8: return 1;
    default: return 0;
  }
}

const char* dtype_name(int32_t dtype) {
  static const char* const names[] = {"f32", "bf16", "i32", "u16", "u8"};
  return dtype >= 0 && dtype < 5 ? names[dtype] : "unknown";
}

int64_t whole(double value, const char* name) {
  if (!(value >= 0 && value <= 9007199254740992.0) || value != std::floor(value)) {
    fail(RS_INVALID, "%s must be a whole number in 0…2^53, is %g", name, value);
  }
  return int64_t(value);
}

int64_t product(std::initializer_list<int64_t> sizes) {
  int64_t result = 1;
  for (int64_t size : sizes) {
    if (__builtin_mul_overflow(result, size, &result) || result > (int64_t{1} << 53)) {
      // A later zero would still make it zero.
      for (int64_t other : sizes) if (other == 0) return 0;
      fail(RS_INVALID, "the product of the sizes is beyond 2^53");
    }
  }
  return result;
}

void require_size(int32_t value, const char* name, int32_t least) {
  if (value < least) fail(RS_INVALID, "%s must be at least %d, is %d", name, least, value);
}

void require_flag(int32_t value, const char* name) {
  if (value != 0 && value != 1) fail(RS_INVALID, "%s must be 0 or 1, is %d", name, value);
}

void require_choice(int32_t value, const char* name, int32_t count) {
  if (value < 0 || value >= count) fail(RS_INVALID, "%s must be in 0…%d, is %d", name, count - 1, value);
}

void require_finite(double value, const char* name) {
  if (!std::isfinite(value)) fail(RS_INVALID, "%s must be finite, is %g", name, value);
}

void require_buffer(const void* buffer, double bytes, int64_t wanted, const char* name) {
  if (whole(bytes, name) != wanted) fail(RS_INVALID, "%s must have %lld bytes, has %.0f", name, static_cast<long long>(wanted), bytes);
  if (buffer == nullptr && wanted > 0) fail(RS_INVALID, "%s is null", name);
}

// ---- handles ----

rs_tensor create_tensor(int32_t dtype, int64_t count) {
  const int64_t size = dtype_size(dtype);
  if (size == 0) fail(RS_INVALID, "dtype must be in 0…4, is %d", dtype);
  Storage* storage = allocate_storage(size_t(product({count, size})));
  storage->pending_zero = true;
  try {
    return publish(take_slot(), Tensor{storage->block, count, dtype, false, storage->version, storage});
  } catch (...) {
    release_storage(storage);
    throw;
  }
}

rs_tensor view_tensor(rs_tensor handle, int64_t offset, int64_t count) {
  const Tensor x = *find_tensor(handle, "x");
  if (offset > x.count || count > x.count - offset) {
    fail(RS_INVALID, "elements [%lld, %lld) are outside x, which has %lld", static_cast<long long>(offset),
         static_cast<long long>(offset + count), static_cast<long long>(x.count));
  }
  const uint32_t slot = take_slot();
  settle_zero(x.storage);
  x.storage->references++;
  char* data = static_cast<char*>(x.data) + offset * dtype_size(x.dtype);
  return publish(slot, Tensor{data, count, x.dtype, x.parameter, x.version, x.storage});
}

void destroy_tensor(rs_tensor handle) {
  find_tensor(handle, "x");
  Slot* slot = slot_of(handle);
  Runtime& r = runtime();
  slot->live = false;
  release_storage(slot->tensor.storage);
  slot->generation = (slot->generation + 1) % kGenerations;
  (slot->generation == 0 ? r.retired : r.free).push_back((handle & kSlotMask) - 1);
  r.live--;
}

int64_t live_tensors() { return runtime().live; }

Tensor* find_tensor(rs_tensor handle, const char* name) {
  Slot* slot = slot_of(handle);
  if (slot == nullptr) {
    if (handle == 0) fail(RS_INVALID, "%s is missing", name);
    fail(RS_STALE, "%s is no live tensor (handle %u was destroyed or never given out)", name, handle);
  }
  slot->tensor.version = slot->tensor.storage->version;
  return &slot->tensor;
}

// ---- the tensors of one call ----

Tensor* Arguments::add(rs_tensor handle, const char* name, int64_t count, int32_t dtype, Role role) {
  Tensor* tensor = find_tensor(handle, name);
  if (tensor->dtype != dtype) {
    fail(RS_INVALID, "%s must be %s, is %s", name, dtype_name(dtype), dtype_name(tensor->dtype));
  }
  if (tensor->count != count) {
    fail(RS_INVALID, "%s must have %lld elements, has %lld", name, static_cast<long long>(count),
         static_cast<long long>(tensor->count));
  }
  entries_[size_++] = {tensor, name, role};
  return tensor;
}

Tensor* Arguments::out(rs_tensor handle, const char* name, int64_t count, int32_t dtype) {
  return add(handle, name, count, dtype, kOut);
}
Tensor* Arguments::update(rs_tensor handle, const char* name, int64_t count, int32_t dtype) {
  return add(handle, name, count, dtype, kUpdate);
}
const Tensor* Arguments::in(rs_tensor handle, const char* name, int64_t count, int32_t dtype) {
  return add(handle, name, count, dtype, kIn);
}
Tensor* Arguments::out_optional(rs_tensor handle, const char* name, int64_t count, int32_t dtype) {
  return handle == 0 ? nullptr : add(handle, name, count, dtype, kOut);
}
Tensor* Arguments::update_optional(rs_tensor handle, const char* name, int64_t count, int32_t dtype) {
  return handle == 0 ? nullptr : add(handle, name, count, dtype, kUpdate);
}
const Tensor* Arguments::in_optional(rs_tensor handle, const char* name, int64_t count, int32_t dtype) {
  return handle == 0 ? nullptr : add(handle, name, count, dtype, kIn);
}

void Arguments::may_be(const char* written, const char* read) { allowed_[allowed_size_++] = {written, read}; }

void Arguments::ready() {
  for (int i = 0; i < size_; i++) {
    if (entries_[i].role == kIn) continue;
    for (int j = 0; j < size_; j++) {
      if (j == i || (j < i && entries_[j].role != kIn)) continue;
      const Entry &written = entries_[i], &other = entries_[j];
      if (!overlap(written.tensor, other.tensor)) continue;
      bool allowed = false;
      for (int k = 0; k < allowed_size_; k++) {
        allowed |= std::strcmp(allowed_[k].written, written.name) == 0 && std::strcmp(allowed_[k].read, other.name) == 0;
      }
      // Equal counts were checked by name, so the same start means the very same elements.
      if (!allowed || written.tensor->data != other.tensor->data) {
        fail(RS_INVALID, "%s and %s share memory", written.name, other.name);
      }
    }
  }
  for (int i = 0; i < size_; i++) {
    Tensor* tensor = entries_[i].tensor;
    if (entries_[i].role != kOut) settle_zero(tensor->storage);
    // Before the op and not after it: one that fails half-way has written as well.
    if (entries_[i].role != kIn) tensor->version = tensor->storage->version = next_version();
  }
}

void Arguments::zero_outputs() {
  for (int i = 0; i < size_; i++) {
    const Tensor* tensor = entries_[i].tensor;
    if (entries_[i].role == kOut) device_zero(tensor->data, size_t(tensor->count * dtype_size(tensor->dtype)));
  }
}

void Arguments::done() {
  for (int i = 0; i < size_; i++) {
    if (entries_[i].role != kIn) entries_[i].tensor->storage->pending_zero = false;
  }
}

}  // namespace rs
