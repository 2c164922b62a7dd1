// The machine behind the CPU build: choice of the instruction set and system memory. Compiled once.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <sys/mman.h>

#include "../impl.h"
#include "parallel.h"
#include "pool.h"

namespace rs {

// ---- instruction sets ----

namespace cpu_portable { extern const Ops ops; }
#if defined(__x86_64__)
namespace cpu_avx2 { extern const Ops ops; }
namespace cpu_avx512 { extern const Ops ops; }
#endif

namespace {

int32_t chosen_isa = 1;

bool has_isa(int32_t isa) {
#if defined(__x86_64__)
  if (isa == 2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (isa == 3) {
    return has_isa(2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  }
#endif
  return isa == 1;
}

const char* isa_name(int32_t isa) { return isa == 3 ? "avx512" : isa == 2 ? "avx2" : "portable"; }

}  // namespace

void device_set_isa(int32_t isa) {
  if (isa < 0 || isa > 3) throw Error{RS_INVALID, "isa must be in 0…3, is " + std::to_string(isa)};
  if (isa == 0) isa = has_isa(3) ? 3 : has_isa(2) ? 2 : 1;
  if (!has_isa(isa)) throw Error{RS_UNSUPPORTED, std::string("this machine has no ") + isa_name(isa)};
  chosen_isa = isa;
}

const Ops& device_ops() {
#if defined(__x86_64__)
  if (chosen_isa == 3) return cpu_avx512::ops;
  if (chosen_isa == 2) return cpu_avx2::ops;
#endif
  return cpu_portable::ops;
}

// ---- the device ----

void device_init(int32_t, int32_t threads) {
  pool_start(threads);
  device_set_isa(0);
}

std::string device_describe() {
  const int32_t threads = thread_count();
  const std::string isa = isa_name(chosen_isa);
  return "cpu " + isa + " " + std::to_string(threads) + (threads == 1 ? " thread" : " threads");
}

void device_sync() {}
void device_settle() noexcept {}
bool device_peek(void* target, const void* source, size_t bytes) noexcept {
  std::memcpy(target, source, bytes);
  return true;
}
bool device_has_bf16() { return false; }
bool device_reads_cheaply() { return true; }
void device_enter(const char*) {}
void device_step(bool) {}
double device_replayed_steps() { return 0; }
uint64_t device_current_step() { return 0; }
std::string device_plans() { return {}; }
void device_set_plans(const std::string&) {}
void device_measure_plans(bool) {}
void device_inject_fault() { throw Error{RS_UNSUPPORTED, "only a GPU can be lost"}; }
void device_upload(void* target, const void* source, size_t bytes) { std::memcpy(target, source, bytes); }
void device_download(void* target, const void* source, size_t bytes, uint64_t) { std::memcpy(target, source, bytes); }

void device_zero(void* target, size_t bytes) {
  parallel_for(int64_t(bytes), int64_t{1} << 20, [&](int64_t begin, int64_t end, int32_t) {
    std::memset(static_cast<char*>(target) + begin, 0, size_t(end - begin));
  });
}

// ---- system memory ----

namespace {

constexpr size_t kHugePage = size_t{2} << 20;

// One number of a file such as /proc/meminfo: the first that follows `key`; `fallback` where there is none.
size_t read_number(const char* path, const char* key, size_t fallback) {
  FILE* file = std::fopen(path, "re");
  if (file == nullptr) return fallback;
  char line[256];
  size_t value = fallback;
  const size_t length = std::strlen(key);
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, key, length) != 0) continue;
    char* end = nullptr;
    const unsigned long long number = std::strtoull(line + length, &end, 10);
    if (end != line + length) value = size_t(number);
    break;
  }
  std::fclose(file);
  return value;
}

}  // namespace

size_t device_free_bytes() {
  const size_t unknown = SIZE_MAX;
  const size_t available = read_number("/proc/meminfo", "MemAvailable:", unknown >> 10) * 1024;
  // The container's own limit, where the process stands at the root of its group (cgroup v2).
  const size_t limit = read_number("/sys/fs/cgroup/memory.max", "", unknown);
  const size_t used = read_number("/sys/fs/cgroup/memory.current", "", 0);
  const size_t cache = read_number("/sys/fs/cgroup/memory.stat", "file ", 0);  // given up when memory is short
  const size_t kept = used - std::min(used, cache);
  return std::min(available, limit - std::min(limit, kept));
}

void* device_allocate(size_t bytes) {
  // The kernel promises more memory than there is and kills who touches it, so large blocks ask first.
  if (bytes >= (size_t{32} << 20) && bytes > device_free_bytes()) return nullptr;
  const bool huge = bytes >= kHugePage;
  const size_t alignment = huge ? kHugePage : 64;
  void* block = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
#if defined(MADV_HUGEPAGE)
  if (block != nullptr && huge) madvise(block, bytes, MADV_HUGEPAGE);
#endif
  return block;
}

void device_free(void* block, size_t) { std::free(block); }

}  // namespace rs
