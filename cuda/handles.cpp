// Handles of tensors, and the checks of the tensors of one call. See core.h; all of it runs under the global lock.
#include <cinttypes>
#include <cstring>
#include <deque>
#include <vector>

#include "core.h"

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

struct Handles {
  std::deque<Slot> slots;               // a deque: tensors keep their addresses
  std::vector<uint32_t> free, retired;  // slot numbers
  int64_t live = 0;
};

Handles& handles() {
  static Handles* made = new Handles;  // never destroyed, like all of the library's state
  return *made;
}

uint32_t take_slot() {
  Handles& h = handles();
  if (h.free.empty() && h.slots.size() < kSlotMask) {
    if (h.free.capacity() <= h.slots.size()) {  // so that giving a slot back can't fail
      h.free.reserve(h.slots.size() * 2 + 64);
      h.retired.reserve(h.slots.size() * 2 + 64);
    }
    h.slots.emplace_back();
    return uint32_t(h.slots.size() - 1);
  }
  if (h.free.empty()) h.free.swap(h.retired);
  if (h.free.empty()) fail(RS_OUT_OF_MEMORY, "out of handles: %u tensors are alive", kSlotMask);
  const uint32_t slot = h.free.back();
  h.free.pop_back();
  return slot;
}

rs_tensor publish(uint32_t number, const Tensor& tensor) {
  Slot& slot = handles().slots[number];
  slot.tensor = tensor;
  slot.live = true;
  handles().live++;
  return (slot.generation << kSlotBits) | (number + 1);
}

Slot* slot_of(rs_tensor handle) {
  const uint32_t number = handle & kSlotMask;
  Handles& h = handles();
  if (number == 0 || number > h.slots.size()) return nullptr;
  Slot& slot = h.slots[number - 1];
  return slot.live && slot.generation == handle >> kSlotBits ? &slot : nullptr;
}

bool overlap(const Tensor* a, const Tensor* b) {
  if (a->storage != b->storage) return false;
  const char *a_start = static_cast<const char*>(a->data), *b_start = static_cast<const char*>(b->data);
  return a_start < b_start + b->count * dtype_size(b->dtype) && b_start < a_start + a->count * dtype_size(a->dtype);
}

}  // namespace

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
    fail(RS_INVALID, "elements [%" PRId64 ", %" PRId64 ") are outside x, which has %" PRId64, offset,
         offset + count, x.count);
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
  Handles& h = handles();
  slot->live = false;
  release_storage(slot->tensor.storage);
  slot->generation = (slot->generation + 1) % kGenerations;
  (slot->generation == 0 ? h.retired : h.free).push_back((handle & kSlotMask) - 1);
  h.live--;
}

int64_t live_tensors() { return handles().live; }

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
  if (dtype < 0) {
    const bool known = dtype == kActivation && activation_ >= 0;
    if (!known && tensor->dtype != RS_F32 && !(tensor->dtype == RS_BF16 && device_has_bf16())) {
      fail(RS_INVALID, "%s must be f32%s, is %s", name, device_has_bf16() ? " or bf16" : "", dtype_name(tensor->dtype));
    }
    if (dtype == kActivation && !known) activation_ = tensor->dtype;
    dtype = known ? activation_ : tensor->dtype;
  }
  if (tensor->dtype != dtype) {
    fail(RS_INVALID, "%s must be %s, is %s", name, dtype_name(dtype), dtype_name(tensor->dtype));
  }
  if (tensor->count != count) {
    fail(RS_INVALID, "%s must have %" PRId64 " elements, has %" PRId64, name, count,
         tensor->count);
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
        allowed |= std::strcmp(allowed_[k].written, written.name) == 0 &&
                   std::strcmp(allowed_[k].read, other.name) == 0;
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
    if (entries_[i].role != kIn) {
      mark_written(tensor->storage);
      tensor->version = tensor->storage->version;
    }
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
