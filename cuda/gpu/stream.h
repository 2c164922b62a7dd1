// The one stream behind the ops: what device.cu needs of stream.cu. The ops see gpu.h alone.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace rs::gpu {

// Throws Error with what CUDA says; a lost device names the op that it was lost in.
void check_cuda(cudaError_t status, const char* what);

void stream_open();
bool stream_settle() noexcept;                          // waits and reports nothing; whether all went well
void stream_wait();                                     // for all that was enqueued; throws what went wrong
void stream_upload(void* target, const void* source, size_t bytes);
void stream_download(void* target, const void* source, size_t bytes, uint64_t epoch);
void stream_before_free();                              // nothing that is put off may use memory that is given back
void stream_enter(const char* op);
void stream_step(bool begin);
int64_t stream_replayed();                              // steps
uint64_t stream_epoch();                                // rises at both borders of a step

}  // namespace rs::gpu
