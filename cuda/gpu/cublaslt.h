// The part of cuBLASLt's C interface that the products use, declared here because the library is loaded at run time:
// building needs none of its files, and a machine without it gets a clear error from its first large product. Names and
// numbers are those of cublasLt.h, versions 12 and 13, which agree in all that stands here.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace rs::gpu::lt {

using Status = int32_t;
constexpr Status kSuccess = 0;

struct Context;
struct Operation;
struct Layout;
struct Preference;

struct Algorithm {
  uint64_t words[8];
};
struct Candidate {  // cublasLtMatmulHeuristicResult_t
  Algorithm algorithm;
  size_t workspace;
  Status state;
  float waves;
  int32_t reserved[4];
};

// cudaDataType_t, cublasComputeType_t, cublasOperation_t
constexpr int32_t kFloat32 = 0, kBfloat16 = 14;
constexpr int32_t kComputeFloat32 = 68;
constexpr int32_t kTransposed = 1;

// cublasLtMatmulDescAttributes_t: int32
constexpr int32_t kOperationTransA = 3, kOperationTransB = 4;
// cublasLtMatrixLayoutAttribute_t: int32 and int64
constexpr int32_t kLayoutBatchCount = 5, kLayoutBatchStride = 6;
// cublasLtMatmulPreferenceAttributes_t: uint64, then uint32
constexpr int32_t kPreferenceWorkspace = 1, kPreferenceReductions = 3, kPreferenceAlignA = 5, kPreferenceAlignB = 6,
                  kPreferenceAlignC = 7, kPreferenceAlignD = 8;
// cublasLtMatmulAlgoCapAttributes_t: int32, uint32, int32
constexpr int32_t kCanSplit = 0, kCanReduce = 1, kCanAddElsewhere = 4;
// cublasLtMatmulAlgoConfigAttributes_t: int32, uint32
constexpr int32_t kConfigSplits = 2, kConfigReduction = 3;
// cublasLtReductionScheme_t: parts of the sums over K are added in float32 by a kernel of their own, in one order.
constexpr uint32_t kReduceNone = 0, kReduceInWorkspace = 2;

// The functions, by the names that follow "cublasLt".
struct Library {
  Context* context;
  size_t version;

  const char* (*GetStatusName)(Status);
  Status (*Matmul)(Context*, Operation*, const void* alpha, const void* a, Layout*, const void* b, Layout*,
                   const void* beta, const void* c, Layout*, void* d, Layout*, const Algorithm*, void* workspace,
                   size_t workspace_bytes, cudaStream_t);
  Status (*MatmulDescCreate)(Operation**, int32_t compute, int32_t scale);
  Status (*MatmulDescSetAttribute)(Operation*, int32_t attribute, const void*, size_t);
  Status (*MatrixLayoutCreate)(Layout**, int32_t type, uint64_t rows, uint64_t cols, int64_t leading);
  Status (*MatrixLayoutSetAttribute)(Layout*, int32_t attribute, const void*, size_t);
  Status (*MatmulPreferenceCreate)(Preference**);
  Status (*MatmulPreferenceDestroy)(Preference*);
  Status (*MatmulPreferenceSetAttribute)(Preference*, int32_t attribute, const void*, size_t);
  Status (*MatmulAlgoGetHeuristic)(Context*, Operation*, Layout* a, Layout* b, Layout* c, Layout* d, Preference*,
                                   int wanted, Candidate*, int* found);
  Status (*MatmulAlgoCheck)(Context*, Operation*, Layout* a, Layout* b, Layout* c, Layout* d, const Algorithm*,
                            Candidate*);
  Status (*MatmulAlgoCapGetAttribute)(const Algorithm*, int32_t attribute, void*, size_t, size_t* written);
  Status (*MatmulAlgoConfigGetAttribute)(const Algorithm*, int32_t attribute, void*, size_t, size_t* written);
  Status (*MatmulAlgoConfigSetAttribute)(Algorithm*, int32_t attribute, const void*, size_t);
};

// Loads it on the first call. Throws RS_UNSUPPORTED, saying what to install, where it is missing.
const Library& library();
// Throws RS_DEVICE with the library's name of the status unless it is success.
void check(Status status, const char* what);

}  // namespace rs::gpu::lt
