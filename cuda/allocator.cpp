// The caching allocator: size classes, guard bytes, peak statistics, a limit; and what hangs on a block (derived
// copies). All of it runs under the global lock of core.cpp.
#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <vector>

#include "core.h"

namespace rs {

struct Derived {
  uint64_t key;
  const void* data;  // first element that the copy was made from
  uint64_t version;
  Storage* storage;
  Derived* next;
};

namespace {

constexpr size_t kGuardBytes = 64;
constexpr size_t kSmallest = 256;
constexpr size_t kLargest = size_t{1} << 52;

struct Allocator {
  // By class, each a heap with the lowest address on top: which block a call gets depends on the set of free ones alone,
  // so a training step that repeats finds its tensors at the same places.
  std::vector<std::vector<void*>> free_blocks = std::vector<std::vector<void*>>(64 * 8);
  Storage* live = nullptr;
  size_t live_bytes = 0, peak_bytes = 0, held_bytes = 0, limit = 0;
  bool guards = device_reads_cheaply();
  int64_t damaged = 0;  // guards found damaged when their blocks were freed
  uint64_t version = 0;
  uint8_t guard[kGuardBytes];
};

// Never destroyed: calls may still run on other threads while the process ends.
Allocator& state() {
  static Allocator* allocator = [] {
    auto* made = new Allocator;
    for (size_t i = 0; i < kGuardBytes; i++) made->guard[i] = uint8_t(0xA5 ^ (i * 37));
    return made;
  }();
  return *allocator;
}

struct SizeClass {
  int index;
  size_t capacity;
};

// Powers of two split in eight, so that at most an eighth is lost.
SizeClass class_of(size_t bytes) {
  if (bytes <= kSmallest) return {0, kSmallest};
  const int power = 63 - __builtin_clzll(bytes - 1);  // 2^power < bytes ≤ 2^(power+1)
  const size_t step = size_t{1} << (power - 3);
  const size_t eighth = (bytes - 1 - (size_t{1} << power)) / step;  // 0 … 7
  return {power * 8 + int(eighth), (size_t{1} << power) + (eighth + 1) * step};
}

bool guard_intact(const Storage* storage) {
  if (!storage->guarded) return true;
  uint8_t bytes[kGuardBytes];
  const auto* place = static_cast<const uint8_t*>(storage->block) + storage->bytes;
  // A device that was lost can't tell; its loss is another call's error.
  return !device_peek(bytes, place, kGuardBytes) || std::memcmp(bytes, state().guard, kGuardBytes) == 0;
}

std::string room_left() {
  const Allocator& a = state();
  if (a.limit == 0) return std::to_string(device_free_bytes()) + " bytes are free";
  const size_t left = a.limit > a.live_bytes ? a.limit - a.live_bytes : 0;
  return std::to_string(left) + " bytes are free below the limit of " + std::to_string(a.limit);
}

void drop_derived(Storage* storage) {
  for (Derived* derived = storage->derived; derived != nullptr;) {
    Derived* next = derived->next;
    release_storage(derived->storage);
    delete derived;
    derived = next;
  }
  storage->derived = nullptr;
}

}  // namespace

void mark_written(Storage* storage) {
  storage->version = ++state().version;
  storage->written_step = device_current_step();
}

Storage* allocate_storage(size_t bytes) {
  Allocator& a = state();
  const bool too_large = bytes > kLargest;
  if (too_large || (a.limit != 0 && bytes + a.live_bytes > a.limit)) {
    fail(RS_OUT_OF_MEMORY, "out of memory: wanted %zu bytes, %s", bytes, room_left().c_str());
  }
  const SizeClass size = class_of(bytes + kGuardBytes);
  auto owned = std::make_unique<Storage>();
  Storage* storage = owned.get();
  std::vector<void*>& blocks = a.free_blocks[size.index];
  if (!blocks.empty()) {
    std::pop_heap(blocks.begin(), blocks.end(), std::greater<>());
    storage->block = blocks.back();
    blocks.pop_back();
  } else {
    storage->block = device_allocate(size.capacity);
    if (storage->block == nullptr) {
      memory_trim();
      storage->block = device_allocate(size.capacity);
    }
    if (storage->block == nullptr) {
      fail(RS_OUT_OF_MEMORY, "out of memory: wanted %zu bytes, %s", bytes, room_left().c_str());
    }
    a.held_bytes += size.capacity;
  }
  storage->bytes = bytes;
  storage->capacity = size.capacity;
  storage->references = 1;
  mark_written(storage);
  storage->guarded = a.guards;
  if (a.guards) device_upload(static_cast<uint8_t*>(storage->block) + bytes, a.guard, kGuardBytes);
  storage->next = a.live;
  if (a.live != nullptr) a.live->previous = storage;
  a.live = storage;
  a.live_bytes += bytes;
  if (a.live_bytes > a.peak_bytes) a.peak_bytes = a.live_bytes;
  return owned.release();
}

void release_storage(Storage* storage) {
  if (--storage->references > 0) return;
  Allocator& a = state();
  drop_derived(storage);
  if (!guard_intact(storage)) a.damaged++;
  if (storage->previous != nullptr) storage->previous->next = storage->next;
  else a.live = storage->next;
  if (storage->next != nullptr) storage->next->previous = storage->previous;
  a.live_bytes -= storage->bytes;
  try {
    std::vector<void*>& blocks = a.free_blocks[class_of(storage->capacity).index];
    blocks.push_back(storage->block);
    std::push_heap(blocks.begin(), blocks.end(), std::greater<>());
  } catch (const std::bad_alloc&) {  // no room to remember the block
    device_free(storage->block, storage->capacity);
    a.held_bytes -= storage->capacity;
  }
  delete storage;
}

void settle_zero(Storage* storage) {
  if (!storage->pending_zero) return;
  device_zero(storage->block, storage->bytes);
  storage->pending_zero = false;
  storage->written_step = device_current_step();
}

MemoryState memory_state() {
  const Allocator& a = state();
  int64_t damaged = a.damaged;
  for (const Storage* storage = a.live; storage != nullptr; storage = storage->next) damaged += !guard_intact(storage);
  return {double(a.live_bytes), double(a.peak_bytes), double(a.held_bytes), double(damaged)};
}

void memory_reset_peak() { state().peak_bytes = state().live_bytes; }

void memory_set_guards(bool on) { state().guards = on || device_reads_cheaply(); }

void memory_set_limit(double bytes) { state().limit = size_t(whole(bytes, "bytes")); }

void memory_trim() {
  Allocator& a = state();
  for (size_t index = 0; index < a.free_blocks.size(); index++) {
    // The capacity back from the index: class_of's arithmetic read the other way round.
    const size_t base = size_t{1} << (index / 8);
    const size_t capacity = index == 0 ? kSmallest : base + (index % 8 + 1) * (base >> 3);
    for (void* block : a.free_blocks[index]) {
      device_free(block, capacity);
      a.held_bytes -= capacity;
    }
    a.free_blocks[index].clear();
    a.free_blocks[index].shrink_to_fit();
  }
}

Scratch::Scratch(size_t bytes) : storage_(allocate_storage(bytes)) { data_ = storage_->block; }

Scratch::~Scratch() { release_storage(storage_); }

void* find_derived(const Tensor* x, uint64_t key) {
  for (Derived* derived = x->storage->derived; derived != nullptr; derived = derived->next) {
    if (derived->key == key && derived->data == x->data) {
      return derived->version == x->storage->version ? derived->storage->block : nullptr;
    }
  }
  return nullptr;
}

void* keep_derived(const Tensor* x, uint64_t key, size_t bytes) {
  Derived* derived = x->storage->derived;
  while (derived != nullptr && (derived->key != key || derived->data != x->data)) derived = derived->next;
  if (derived == nullptr) {
    // Of the same kind and size, and out of date: nobody will ask for it again.
    const auto replaceable = [&](const Derived* d) {
      return d->data == x->data && d->key >> 56 == key >> 56 && d->storage->bytes == bytes &&
             d->version != x->storage->version;
    };
    for (Derived* d = x->storage->derived; d != nullptr && derived == nullptr; d = d->next) {
      if (replaceable(d)) derived = d;
    }
    if (derived != nullptr) derived->key = key;
  }
  if (derived == nullptr) {
    Storage* storage = allocate_storage(bytes);
    derived = new Derived{key, x->data, 0, storage, x->storage->derived};
    x->storage->derived = derived;
  } else if (derived->storage->bytes != bytes) {
    Storage* storage = allocate_storage(bytes);
    release_storage(derived->storage);
    derived->storage = storage;
  }
  derived->version = x->storage->version;
  return derived->storage->block;
}

}  // namespace rs
