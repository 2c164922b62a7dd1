// What the files behind the ABI share: the allocator, the handles, the checks of arguments and the wrapper around every
// call. The ops know nothing of it. Compiled once for each build (cpu, cuda), never once for each instruction set.
#pragma once
#include <initializer_list>
#include <mutex>
#include <string>

#include "impl.h"

namespace rs {

// ---- allocator.cpp ----
// Blocks come in size classes (eight to each power of two) and are kept for reuse. Behind the last byte that was asked
// for stand 64 guard bytes (see rs_memory_set_guards), which are checked when the block is freed and by rs_counters.

struct Derived;

struct Storage {
  void* block;           // 64-byte aligned, `capacity` bytes
  size_t bytes;          // asked for
  size_t capacity;       // size of the class
  int64_t references;    // tensors and views
  uint64_t version;      // of the last write through the ABI
  uint64_t written_step;  // training step of that write, see device_current_step
  bool guarded;          // whether guard bytes stand behind it
  bool pending_zero;     // promised to read as zeros, but nothing was written yet: an op that fills it saves that pass
  Derived* derived;      // copies that ops keep beside it (impl.h)
  Storage *previous, *next;  // all live storages
};

Storage* allocate_storage(size_t bytes);  // throws Error RS_OUT_OF_MEMORY; references 1, contents undefined
void release_storage(Storage* storage);   // counts one reference down
void settle_zero(Storage* storage);       // writes the zeros that are pending
void mark_written(Storage* storage);      // gives it a new version

struct MemoryState {
  double live_bytes, peak_bytes, held_bytes, damaged_guards;
};
MemoryState memory_state();  // checks the guards of everything that lives
void memory_reset_peak();
void memory_set_limit(double bytes);
void memory_set_guards(bool on);
void memory_trim();

// ---- core.cpp ----

// Throws Error with a text made like printf.
[[noreturn]] void fail(rs_status code, const char* format, ...) __attribute__((format(printf, 2, 3)));

// One op's name and its sums while profiling is on. Constant-initialised static of each ABI function.
struct OpRecord {
  const char* name;
  double seconds;
  int64_t calls;
  OpRecord* next;
  bool listed;
  double operations = 0;
};

class Call {
 public:
  explicit Call(OpRecord& record, bool before_init = false);  // takes the global lock, starts the profile's clock
  ~Call();

 private:
  OpRecord& record_;
  std::lock_guard<std::mutex> lock_;
  double start_, operations_;
};

rs_status report_exception(const char* op);  // call inside catch (...)
int32_t copy_text(const std::string& text, void* buffer, double capacity);
const std::string& last_error();  // of this thread
rs_status last_status();

bool runtime_ready();
void runtime_mark_ready();
void profile_enable(bool on);
bool profiling();
std::string profile_report();
double counted_operations();

// Runs `body` as the op `record.name` with the lock held; turns every exception into a status.
template <class F>
rs_status run_op(OpRecord& record, F&& body, bool before_init = false) {
  try {
    Call call(record, before_init);
    body();
    return RS_OK;
  } catch (...) {
    return report_exception(record.name);
  }
}

#define RS_RUN(name, ...)                             \
  do {                                                \
    static ::rs::OpRecord record{name, 0, 0, nullptr, false}; \
    return ::rs::run_op(record, __VA_ARGS__);         \
  } while (0)

int64_t dtype_size(int32_t dtype);  // bytes; 0 for an unknown dtype
const char* dtype_name(int32_t dtype);

// A count or byte count that crossed as double: throws unless it is a whole number in 0 … 2^53.
int64_t whole(double value, const char* name);
// Product of non-negative sizes; throws on overflow beyond 2^53.
int64_t product(std::initializer_list<int64_t> sizes);
void require_size(int32_t value, const char* name, int32_t least = 0);
void require_flag(int32_t value, const char* name);
void require_choice(int32_t value, const char* name, int32_t count);
void require_finite(double value, const char* name);
void require_buffer(const void* buffer, double bytes, int64_t wanted, const char* name);

rs_tensor create_tensor(int32_t dtype, int64_t count);
rs_tensor view_tensor(rs_tensor handle, int64_t offset, int64_t count);
void destroy_tensor(rs_tensor handle);
int64_t live_tensors();
Tensor* find_tensor(rs_tensor handle, const char* name);  // throws RS_STALE

// Instead of a dtype: f32, or bf16 where the device computes with it. All kActivation tensors of a call have one type.
constexpr int32_t kActivation = -1, kFloat = -2;

// The tensors of one call. Each is looked up and checked when it is named; `ready` then refuses overlaps that were not
// allowed, writes pending zeros of what will be read and renews the versions of what will be written; `done` ends it.
class Arguments {
 public:
  // Every element is written, none is read.
  Tensor* out(rs_tensor handle, const char* name, int64_t count, int32_t dtype = RS_F32);
  // Some elements are written, or read first.
  Tensor* update(rs_tensor handle, const char* name, int64_t count, int32_t dtype = RS_F32);
  const Tensor* in(rs_tensor handle, const char* name, int64_t count, int32_t dtype = RS_F32);
  Tensor* out_optional(rs_tensor handle, const char* name, int64_t count, int32_t dtype = RS_F32);
  const Tensor* in_optional(rs_tensor handle, const char* name, int64_t count, int32_t dtype = RS_F32);
  // The output of one name may be the very same elements as the input of the other.
  void may_be(const char* written, const char* read);
  void ready();
  // For sizes that leave nothing to compute: what had to be written becomes zeros.
  void zero_outputs();
  void done();

 private:
  enum Role { kIn, kOut, kUpdate };
  struct Entry {
    Tensor* tensor;
    const char* name;
    Role role;
  };
  Tensor* add(rs_tensor handle, const char* name, int64_t count, int32_t dtype, Role role);
  static constexpr int kMost = 16;
  Entry entries_[kMost];
  int size_ = 0;
  int32_t activation_ = -1;  // their type, once one was named
  struct { const char *written, *read; } allowed_[2];
  int allowed_size_ = 0;
};

// Ends the checks and runs `body(ops)`, unless there is nothing to compute.
template <class F>
void apply(Arguments& args, bool empty, F&& body) {
  args.ready();
  if (empty) args.zero_outputs();
  else body(device_ops());
  args.done();
}

}  // namespace rs
