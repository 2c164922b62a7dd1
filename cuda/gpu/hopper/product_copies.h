// Copies, prefetches and barriers that only the product needs: five axes, several blocks of a cluster at once.
#pragma once
#include "../hopper.h"

namespace rs::gpu::product {

__device__ inline void load_tile(void* target, const CUtensorMap* map, uint64_t* bar, int c0, int c1, int c4) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %5, %6}], "
      "[%2];" ::"r"(shared_address(target)),
      "l"(map), "r"(shared_address(bar)), "r"(c0), "r"(c1), "r"(0), "r"(c4)
      : "memory");
}
// Into the same place of every block of the cluster that has a bit in `blocks`; each block's barrier gets the bytes.
__device__ inline void load_shared_tile(void* target, const CUtensorMap* map, uint64_t* bar, int c0, int c1,
                                        uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], "
      "[%1, {%3, %4}], [%2], %5;" ::"r"(shared_address(target)),
      "l"(map), "r"(shared_address(bar)), "r"(c0), "r"(c1), "h"(blocks)
      : "memory");
}
// Arrives at the barrier of this place in a block of the cluster. Orders no writes of this thread (a release to the
// cluster would wait for all of its stores to memory): for reads that are known to be over.
__device__ inline void barrier_arrive_at(uint64_t* bar, int block) {
  asm volatile(
      "{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [there];\n}" ::"r"(shared_address(bar)),
      "r"(block)
      : "memory");
}
// All threads of the cluster that have not ended.
__device__ inline void cluster_barrier() {
  asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;" ::: "memory");
}

}  // namespace rs::gpu::product
