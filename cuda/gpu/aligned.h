// Operands of kernels that need 16-byte addresses: a tensor's own elements or, for a view at an odd place, a copy.
#pragma once
#include <optional>

#include "gpu.h"

namespace rs::gpu {

// So one set of kernels serves every address, with the same bits. Null for null.
template <class T>
class AlignedInput {
 public:
  explicit AlignedInput(const Tensor* x) : data_(elements<T>(x)) {
    if (x == nullptr || wide_access(0, data_)) return;
    const size_t bytes = size_t(x->count) * sizeof(T);
    copy_.emplace(bytes);
    enqueue_copy(copy_->data(), x->data, bytes);
    data_ = static_cast<const T*>(copy_->data());
  }
  operator const T*() const { return data_; }

 private:
  std::optional<Scratch> copy_;
  const T* data_;
};
template <class T>
class AlignedOutput {
 public:
  explicit AlignedOutput(Tensor* x) : x_(x), data_(elements<T>(x)) {
    if (wide_access(0, data_)) return;
    copy_.emplace(bytes());
    data_ = static_cast<T*>(copy_->data());
  }
  operator T*() const { return data_; }
  void finish() {  // once it was written
    if (copy_) enqueue_copy(x_->data, data_, bytes());
  }

 private:
  size_t bytes() const { return size_t(x_->count) * sizeof(T); }
  std::optional<Scratch> copy_;
  Tensor* x_;
  T* data_;
};

}  // namespace rs::gpu
