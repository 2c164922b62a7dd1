// Error texts, the lock and the profile around each call, checks of numbers. See core.h.
#include "core.h"

#include <cinttypes>
#include <chrono>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <new>

namespace rs {

namespace {

struct Runtime {
  std::mutex lock;
  bool ready = false;
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

Call::Call(OpRecord& record, bool before_init) : record_(record), lock_(runtime().lock), start_(0), operations_(0) {
  if (!before_init && !runtime().ready) fail(RS_INVALID, "rs_runtime_init was not called");
  if (before_init) return;
  device_enter(record.name);
  if (!runtime().profiling) return;
  device_settle();
  operations_ = runtime().operations;
  start_ = now();
}

Call::~Call() {
  if (start_ == 0 || !runtime().profiling) return;
  device_settle();  // the time of what was enqueued, too
  if (!record_.listed) {
    record_.listed = true;
    record_.next = runtime().records;
    runtime().records = &record_;
  }
  record_.seconds += now() - start_;
  record_.operations += runtime().operations - operations_;
  record_.calls++;
}

bool runtime_ready() { return runtime().ready; }
void runtime_mark_ready() { runtime().ready = true; }

void profile_enable(bool on) {
  if (on) {
    for (OpRecord* record = runtime().records; record != nullptr; record = record->next) {
      record->seconds = 0;
      record->calls = 0;
      record->operations = 0;
    }
  }
  runtime().profiling = on;
}

bool profiling() { return runtime().profiling; }

std::string profile_report() {
  std::string text;
  for (const OpRecord* record = runtime().records; record != nullptr; record = record->next) {
    if (record->calls == 0) continue;
    char line[128];
    snprintf(line, sizeof line, "%s %" PRId64 " %.9f %.0f\n", record->name, record->calls, record->seconds,
             record->operations);
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
  if (whole(bytes, name) != wanted) fail(RS_INVALID, "%s must have %" PRId64 " bytes, has %.0f", name, wanted, bytes);
  if (buffer == nullptr && wanted > 0) fail(RS_INVALID, "%s is null", name);
}

}  // namespace rs
