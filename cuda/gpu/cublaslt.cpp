// Finds and loads cuBLASLt.
#include "cublaslt.h"

#include <dlfcn.h>

#include "../impl.h"

namespace rs::gpu::lt {

namespace {

// What the loader finds comes first; the folders are where NVIDIA's packages put the library without telling it.
const char* const places[] = {
    "libcublasLt.so.13",
    "/usr/local/cuda/lib64/libcublasLt.so.13",
    "/usr/local/cuda-13/lib64/libcublasLt.so.13",
    "libcublasLt.so.12",
    "/usr/local/cuda/lib64/libcublasLt.so.12",
    "/usr/local/cuda-12/lib64/libcublasLt.so.12",
};

void* open_library() {
  for (const char* place : places) {
    if (void* found = dlopen(place, RTLD_NOW | RTLD_LOCAL)) return found;
  }
  fail(RS_UNSUPPORTED,
       "cuBLASLt was not found: install NVIDIA's libcublas (part of the CUDA toolkit 13), or tell the loader where "
       "libcublasLt.so.13 is (ldconfig)");
}

void* find(void* opened, const char* name) {
  void* found = dlsym(opened, name);
  if (found == nullptr) fail(RS_UNSUPPORTED, "the cuBLASLt of this machine has no %s: install version 12 or 13", name);
  return found;
}

Library* load() {
  void* opened = open_library();
  auto* made = new Library{};
  made->version = reinterpret_cast<size_t (*)()>(find(opened, "cublasLtGetVersion"))();
#define RS_LT_FUNCTION(name) made->name = reinterpret_cast<decltype(made->name)>(find(opened, "cublasLt" #name))
  RS_LT_FUNCTION(GetStatusName);
  RS_LT_FUNCTION(Matmul);
  RS_LT_FUNCTION(MatmulDescCreate);
  RS_LT_FUNCTION(MatmulDescSetAttribute);
  RS_LT_FUNCTION(MatrixLayoutCreate);
  RS_LT_FUNCTION(MatrixLayoutSetAttribute);
  RS_LT_FUNCTION(MatmulPreferenceCreate);
  RS_LT_FUNCTION(MatmulPreferenceDestroy);
  RS_LT_FUNCTION(MatmulPreferenceSetAttribute);
  RS_LT_FUNCTION(MatmulAlgoGetHeuristic);
  RS_LT_FUNCTION(MatmulAlgoCheck);
  RS_LT_FUNCTION(MatmulAlgoCapGetAttribute);
  RS_LT_FUNCTION(MatmulAlgoConfigGetAttribute);
  RS_LT_FUNCTION(MatmulAlgoConfigSetAttribute);
#undef RS_LT_FUNCTION
  const auto create = reinterpret_cast<Status (*)(Context**)>(find(opened, "cublasLtCreate"));
  const Status status = create(&made->context);
  if (status != kSuccess) fail(RS_DEVICE, "cuBLASLt does not start: %s", made->GetStatusName(status));
  return made;
}

}  // namespace

const Library& library() {
  static const Library* loaded = load();  // tried again after a failure; never unloaded
  return *loaded;
}

void check(Status status, const char* what) {
  if (status != kSuccess) fail(RS_DEVICE, "cuBLASLt failed (%s): %s", what, library().GetStatusName(status));
}

}  // namespace rs::gpu::lt
