// One GPU's blocks, warps and asynchronous units, played by one thread of this machine. Whatever a GPU would refuse, or
// never come back from, ends the process with a sentence. One file, for all of it works on the state of one cluster: who
// waits for what decides when copies and products are done.
#include "device.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime.h"

namespace emulator {

namespace {

constexpr size_t kStackBytes = 256 << 10, kMemoryBytes = 1 << 20;
constexpr uint32_t kDynamic = 1024, kStatic = 512 << 10;  // places in a block's memory
constexpr size_t kMostStatic = 48 << 10;
constexpr int kGroup = 128;  // threads of a warpgroup

[[noreturn]] void refuse(const char* what) {
  fprintf(stderr, "emulated GPU: %s\n", what);
  abort();
}

// 0: asynchronous work is done at once. Else it decides when.
uint32_t seed() {
  static const uint32_t value = [] {
    const char* text = getenv("RESEARCHSWARM_EMULATOR_SEED");
    return text ? uint32_t(atoi(text)) : 1u;
  }();
  return value;
}

// Threads that wait for each other: the last one to come changes the generation.
struct Meeting {
  uint32_t arrived = 0, generation = 0, wanted = 0;
};
struct Warp {
  uint32_t live = 0, arrived = 0, mask = 0, generation = 0;
  uint8_t brought[32][32], given[2][32][32];
};
struct Product {
  int n, joined;
  uint64_t a, b;
  bool add, a_in_registers, b_is_n_major;
  float* d[kGroup];
  uint32_t words[kGroup][4];
};
// Work in order of issue, and where its committed groups end.
template <class T>
struct Queue {
  std::vector<T> items;
  std::vector<size_t> ends;

  void commit() { ends.push_back(items.size()); }
  // Does all but the last `pending` groups; gives how many items that were.
  template <class F>
  size_t finish(int pending, F&& run) {
    if (int(ends.size()) <= pending) return 0;
    const size_t kept = size_t(pending), count = ends[ends.size() - 1 - kept];
    for (size_t i = 0; i < count; i++) run(items[i]);
    items.erase(items.begin(), items.begin() + ptrdiff_t(count));
    ends.erase(ends.begin(), ends.end() - ptrdiff_t(kept));
    for (size_t& end : ends) end -= count;
    return count;
  }
};
struct Warpgroup {
  Meeting meeting;
  Queue<Product> products;
};
struct Block {
  dim3 index;
  int rank, live;  // in the cluster; threads that have not ended
  uint8_t* memory = nullptr;
  size_t static_bytes;
  std::vector<uint32_t> variables;  // address of each, or 0
  std::vector<Warp> warps;
  std::vector<Warpgroup> groups;
  Meeting barriers[16];
};
struct Copy {
  uint8_t* to;
  const void* from;
  uint32_t bytes, valid;
};
struct Mbarrier;
enum class State { kReady, kGeneration, kPhase, kEnded };
struct Thread {
  void* stack_pointer;
  uint8_t* stack = nullptr;
  uint3 index;
  Block* block;
  Warp* warp;
  Warpgroup* group;
  int lane, in_group;
  size_t next_product;  // of the group's queue
  State state;
  const uint32_t* generation;  // what it waits for: another number than `seen`, or the end of the phase `seen`
  const Mbarrier* phase;
  uint32_t seen;
  std::string waits_for;
  Queue<Copy> copies;
  Queue<std::function<void()>> stores;
};
struct Late {
  std::function<void()> run;
  uint64_t due;
};

// One cluster at a time.
struct Machine {
  dim3 grid, block;
  uint32_t cluster;
  const void* kernel;
  Caller caller;
  void* const* values;
  std::vector<Thread> threads;
  std::vector<Block> blocks;
  std::vector<Late> late;
  Meeting meeting;
  void* stack_pointer;
  uint64_t tick = 0;
  uint32_t random;
  int live;

  uint32_t next_random() {
    random ^= random << 13, random ^= random >> 17, random ^= random << 5;
    return random;
  }
};
Machine machine;
Thread* self = nullptr;

// ---- switching between threads ----

extern "C" void emulator_switch(void** from, void* to);
asm(R"(
.text
.type emulator_switch,@function
emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");

void pause() {
  Thread* me = self;
  emulator_switch(&me->stack_pointer, machine.stack_pointer);
}

void meet(Meeting& at, uint32_t wanted, bool wait, const char* what) {
  const uint32_t generation = at.generation;
  if (++at.arrived >= wanted) {
    at.arrived = 0;
    at.generation++;
  } else if (wait) {
    self->state = State::kGeneration;
    self->generation = &at.generation;
    self->seen = generation;
    self->waits_for = what;
    pause();
  }
}

// A barrier of all threads is complete also when the last that it misses ends.
void leave(Meeting& at, int live) {
  if (at.arrived == 0 || at.arrived < uint32_t(live)) return;
  at.arrived = 0;
  at.generation++;
}

// Completes an exchange once all live lanes of its mask have come; who brought nothing shows NaN.
void complete(Warp& warp) {
  if (warp.arrived == 0 || warp.arrived != (warp.mask & warp.live)) return;
  std::memcpy(warp.given[warp.generation % 2], warp.brought, sizeof warp.brought);
  std::memset(warp.brought, 0xFF, sizeof warp.brought);
  warp.arrived = 0;
  warp.generation++;
}

void run_thread() {
  Thread& me = *self;
  machine.caller(machine.kernel, machine.values);
  if (!me.stores.items.empty()) refuse("a thread ended before its stores had read shared memory");
  me.stores = {};
  me.copies = {};
  me.state = State::kEnded;
  me.warp->live &= ~(1u << me.lane);
  complete(*me.warp);
  leave(me.block->barriers[0], --me.block->live);
  leave(machine.meeting, --machine.live);
  pause();
}

void prepare(Thread& thread) {
  auto* top = reinterpret_cast<void**>(thread.stack + kStackBytes);
  top -= 3;  // a function finds its stack eight bytes off a multiple of 16
  *--top = reinterpret_cast<void*>(&run_thread);
  top -= 6;  // saved registers
  thread.stack_pointer = top;
  thread.state = State::kReady;
}

// ---- barriers in shared memory ----

struct Mbarrier {
  uint64_t phase : 1, expected : 12, pending : 12;
  int64_t bytes : 39;
};
static_assert(sizeof(Mbarrier) == 8);

Mbarrier& mbarrier_at(Block& block, uint32_t address) {
  if (address % 8 != 0) refuse("a barrier in shared memory is not aligned");
  if (block.live == 0) refuse("an arrival, or bytes, at a block of the cluster that has ended");
  return *reinterpret_cast<Mbarrier*>(block.memory + address);
}
void settle(Mbarrier& bar) {
  if (bar.pending != 0 || bar.bytes != 0) return;
  bar.phase ^= 1;
  bar.pending = bar.expected;
}
void arrive(Mbarrier& bar, uint32_t expected_bytes) {
  if (bar.pending == 0) refuse("an arrival too many at a barrier in shared memory");
  bar.pending--;
  bar.bytes += expected_bytes;
  settle(bar);
}
void complete(Mbarrier& bar, int64_t bytes) {
  bar.bytes -= bytes;
  settle(bar);
}

// ---- running ----

bool can_run(const Thread& thread) {
  switch (thread.state) {
    case State::kReady: return true;
    case State::kGeneration: return *thread.generation != thread.seen;
    case State::kPhase: return thread.phase->phase != thread.seen;
    case State::kEnded: return false;
  }
  return false;
}

void do_late(std::function<void()> run) {
  if (seed() == 0) return run();
  // Half of it waits until nobody can go on without.
  const uint32_t random = machine.next_random();
  machine.late.push_back({std::move(run), random % 2 == 0 ? UINT64_MAX : machine.tick + random / 2 % 4});
}

// All that is due; if that is nothing and `anything`, one of the rest.
bool run_late(bool anything) {
  auto& late = machine.late;
  const auto run = [&](size_t i) {
    const auto work = std::move(late[i].run);
    late.erase(late.begin() + ptrdiff_t(i));
    work();
  };
  bool some = false;
  for (size_t i = 0; i < late.size();) {
    if (late[i].due > machine.tick) {
      i++;
      continue;
    }
    run(i);
    some = true;
  }
  if (some || !anything || late.empty()) return some;
  run(machine.next_random() % late.size());
  return true;
}

[[noreturn]] void report_deadlock() {
  std::map<std::string, int> waiting;
  for (const Thread& thread : machine.threads)
    if (thread.state != State::kEnded)
      waiting["block " + std::to_string(thread.block->index.x) + " warp " +
              std::to_string(thread.warp - thread.block->warps.data()) + ": " + thread.waits_for]++;
  for (const auto& [what, count] : waiting) fprintf(stderr, "  %d threads of %s\n", count, what.c_str());
  refuse("no thread can go on");
}

void* reserve(size_t bytes) {
  void* found = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (found == MAP_FAILED) refuse("this machine has no memory left");
  return found;
}

void run_cluster(dim3 first, uint32_t shared_bytes) {
  Machine& m = machine;
  const size_t per_block = size_t{m.block.x} * m.block.y * m.block.z, count = per_block * m.cluster;
  if (m.blocks.size() < m.cluster) m.blocks.resize(m.cluster);
  if (m.threads.size() < count) m.threads.resize(count);
  for (Thread& thread : m.threads) thread.state = State::kEnded;
  m.meeting = {};
  m.live = int(count);
  for (uint32_t rank = 0; rank < m.cluster; rank++) {
    Block& block = m.blocks[rank];
    if (block.memory == nullptr) block.memory = static_cast<uint8_t*>(reserve(kMemoryBytes));
    std::memset(block.memory + kDynamic, 0xFF, shared_bytes);  // NaN
    block.index = dim3(first.x + rank, first.y, first.z);
    block.rank = int(rank);
    block.live = int(per_block);
    block.static_bytes = 0;
    block.variables.assign(block.variables.size(), 0);
    block.warps.assign((per_block + 31) / 32, {});
    block.groups.assign((per_block + kGroup - 1) / kGroup, {});
    for (Meeting& barrier : block.barriers) barrier = {};
    for (size_t i = 0; i < per_block; i++) {
      Thread& thread = m.threads[rank * per_block + i];
      if (thread.stack == nullptr) {
        thread.stack = static_cast<uint8_t*>(reserve(kStackBytes));
        mprotect(thread.stack, 4096, PROT_NONE);  // who needs more is found out
      }
      const auto at = unsigned(i);
      thread.index = {at % m.block.x, at / m.block.x % m.block.y, at / (m.block.x * m.block.y)};
      thread.block = &block;
      thread.warp = &block.warps[i / 32];
      thread.group = &block.groups[i / kGroup];
      thread.lane = int(i % 32);
      thread.in_group = int(i % kGroup);
      thread.next_product = 0;
      thread.warp->live |= 1u << thread.lane;
      prepare(thread);
    }
  }
  while (m.live > 0) {
    m.tick++;
    bool any = run_late(false);
    const size_t start = seed() == 0 ? 0 : m.next_random() % count;
    for (size_t i = 0; i < count; i++) {
      Thread& thread = m.threads[(i + start) % count];
      if (!can_run(thread)) continue;
      thread.state = State::kReady;
      self = &thread;
      emulator_switch(&m.stack_pointer, thread.stack_pointer);
      any = true;
    }
    if (!any && !run_late(true)) report_deadlock();
  }
  if (!m.late.empty()) refuse("a block ended before the copies into its shared memory did");
}

std::unordered_map<const void*, Caller>& callers() {
  static std::unordered_map<const void*, Caller> made;
  return made;
}

}  // namespace

void remember(const void* kernel, Caller caller) { callers()[kernel] = caller; }

void run_grid(const void* kernel, dim3 grid, dim3 block, uint32_t shared_bytes, uint32_t cluster,
              void* const* values) {
  machine.kernel = kernel;
  machine.caller = callers().at(kernel);
  machine.values = values;
  machine.grid = grid;
  machine.block = block;
  machine.cluster = cluster;
  machine.random = seed() * 2654435761u + 1;
  for (uint32_t z = 0; z < grid.z; z++)
    for (uint32_t y = 0; y < grid.y; y++)
      for (uint32_t x = 0; x < grid.x; x += cluster) run_cluster(dim3(x, y, z), shared_bytes);
}

uint3 thread_index() { return self->index; }
dim3 block_index() { return self->block->index; }
dim3 block_size() { return machine.block; }
dim3 grid_size() { return machine.grid; }
int lane() { return self->lane; }

void barrier(int id, int threads, bool wait) {
  if (id < 0 || id > 15) refuse("barriers have the numbers 0 to 15");
  Block& block = *self->block;
  Meeting& at = block.barriers[id];
  if (id > 0 && at.arrived > 0 && at.wanted != uint32_t(threads)) refuse("a barrier of different numbers of threads");
  at.wanted = uint32_t(threads);
  meet(at, uint32_t(id == 0 ? block.live : threads), wait, id == 0 ? "__syncthreads" : "a barrier of the block");
}
void cluster_barrier() { meet(machine.meeting, uint32_t(machine.live), true, "the cluster's barrier"); }

Slots exchange(uint32_t mask, const void* value, size_t bytes) {
  Warp& warp = *self->warp;
  const uint32_t bit = 1u << self->lane, generation = warp.generation;
  if (bytes > 32) refuse("a lane brings more than 32 bytes");
  if ((mask & bit) == 0) refuse("a lane that the mask does not name");
  if (warp.arrived == 0) warp.mask = mask;
  if (warp.mask != mask) refuse("lanes of a warp that call with different masks");
  if (bytes > 0) std::memcpy(warp.brought[self->lane], value, bytes);
  warp.arrived |= bit;
  const auto& given = warp.given[generation % 2];
  complete(warp);
  if (warp.generation == generation) {
    self->state = State::kGeneration;
    self->generation = &warp.generation;
    self->seen = generation;
    self->waits_for = "the other lanes";
    pause();
  }
  return given;
}

// ---- shared memory ----

uint32_t shared_address(const void* p) { return uint32_t(static_cast<const uint8_t*>(p) - self->block->memory); }
void* dynamic_shared() { return self->block->memory + kDynamic; }
int new_variable() {
  static int count = 0;
  return count++;
}
void* static_shared(int variable, size_t bytes) {
  Block& block = *self->block;
  if (block.variables.size() <= size_t(variable)) block.variables.resize(size_t(variable) + 1, 0);
  uint32_t& address = block.variables[size_t(variable)];
  if (address == 0) {
    address = kStatic + uint32_t(block.static_bytes);
    std::memset(block.memory + address, 0xFF, bytes);
    block.static_bytes += (bytes + 127) / 128 * 128;
    if (block.static_bytes > kMostStatic) refuse("more than 48 KB of static shared memory");
  }
  return block.memory + address;
}

void mbarrier_init(uint32_t bar, int arrivals) {
  Mbarrier& made = mbarrier_at(*self->block, bar);
  made = {};
  made.expected = made.pending = uint64_t(arrivals);
}
void mbarrier_arrive(uint32_t bar, uint32_t expected_bytes) { arrive(mbarrier_at(*self->block, bar), expected_bytes); }
void mbarrier_arrive_at(uint32_t bar, int block) {
  if (uint32_t(block) >= machine.cluster) refuse("an arrival at a block that the cluster does not have");
  arrive(mbarrier_at(machine.blocks[size_t(block)], bar), 0);
}
void mbarrier_wait(uint32_t bar, uint32_t parity) {
  const Mbarrier& at = mbarrier_at(*self->block, bar);
  if (at.phase != parity) return;
  self->state = State::kPhase;
  self->phase = &at;
  self->seen = parity;
  self->waits_for = "the barrier at " + std::to_string(bar) + ", phase " + std::to_string(parity);
  pause();
}

// ---- copies ----

namespace {

uint32_t swizzled(uint32_t address) { return address ^ ((address >> 7 & 7) << 4); }

const TensorMap& map_of(const CUtensorMap* opaque, size_t axes) {
  const auto& map = *reinterpret_cast<const TensorMap*>(opaque);
  if (map.axes != int(axes)) refuse("a copy with another number of axes than its map, or no map");
  return map;
}

// Calls f(address in shared memory, elements, how many of them lie inside the array) for each eight of a box.
template <class F>
void each_group(const TensorMap& map, const std::vector<int>& at, uint32_t base, F&& f) {
  int rows = 1;
  for (int axis = 1; axis < map.axes; axis++) rows *= map.box[axis];
  for (int row = 0; row < rows; row++) {
    bool inside = true;
    uint8_t* line = map.data;
    for (int axis = 1, rest = row; axis < map.axes; rest /= map.box[axis++]) {
      const int64_t place = int64_t{at[size_t(axis)]} + rest % map.box[axis];
      inside = inside && place >= 0 && place < map.sizes[axis];
      line += place * map.strides[axis];
    }
    for (int i = 0; i < map.box[0]; i += 8) {
      const int64_t place = int64_t{at[0]} + i;
      const uint32_t address = base + uint32_t(row * map.box[0] + i) * 2;
      f(map.swizzled ? swizzled(address) : address, line + 2 * place,
        inside ? size_t(std::clamp<int64_t>(map.sizes[0] - place, 0, 8)) : 0);
    }
  }
}

}  // namespace

void load_box(uint32_t to, const CUtensorMap* opaque, uint32_t bar, std::initializer_list<int> list, int blocks) {
  const TensorMap map = map_of(opaque, list.size());
  const std::vector<int> at(list);
  if (to % 128 != 0) refuse("a box must begin at a multiple of 128 bytes");
  if (at[0] < 0) refuse("a box that begins before its array");
  if (blocks == 0) blocks = 1 << self->block->rank;
  if (blocks >> machine.cluster != 0) refuse("a copy to a block that the cluster does not have");
  do_late([=] {
    for (size_t rank = 0; rank < machine.cluster; rank++) {
      if ((blocks >> rank & 1) == 0) continue;
      Block& block = machine.blocks[rank];
      int64_t bytes = 0;
      each_group(map, at, to, [&](uint32_t address, const uint8_t* elements, size_t inside) {
        std::memset(block.memory + address, 0, 16);
        std::memcpy(block.memory + address, elements, 2 * inside);
        bytes += 16;
      });
      complete(mbarrier_at(block, bar), bytes);
    }
  });
}
void store_box(const CUtensorMap* opaque, uint32_t from, std::initializer_list<int> list) {
  const TensorMap map = map_of(opaque, list.size());
  const std::vector<int> at(list);
  const uint8_t* memory = self->block->memory;
  const auto run = [=] {
    each_group(map, at, from, [&](uint32_t address, uint8_t* elements, size_t inside) {
      std::memcpy(elements, memory + address, 2 * inside);
    });
  };
  if (seed() == 0) run();
  else self->stores.items.push_back(run);
}
void store_commit() { self->stores.commit(); }
void store_wait(int pending) {
  self->stores.finish(pending, [](const auto& run) { run(); });
}

namespace {

void run_copy(const Copy& copy) {
  std::memcpy(copy.to, copy.from, copy.valid);
  std::memset(copy.to + copy.valid, 0, copy.bytes - copy.valid);
}

}  // namespace

void copy(uint32_t to, const void* from, uint32_t bytes, uint32_t valid) {
  if (to % bytes != 0 || reinterpret_cast<uintptr_t>(from) % bytes != 0) refuse("cp.async is not aligned");
  const Copy made{self->block->memory + to, from, bytes, valid};
  if (seed() == 0) run_copy(made);
  else self->copies.items.push_back(made);
}
void copy_commit() { self->copies.commit(); }
void copy_wait(int pending) { self->copies.finish(pending, run_copy); }

// ---- products ----

namespace {

float low_half(uint32_t word) { return __uint_as_float(word << 16); }
float high_half(uint32_t word) { return __uint_as_float(word & 0xffff0000u); }
float element_at(const Block& block, uint32_t address) {
  return low_half(value_at<uint16_t>(block.memory + swizzled(address)));
}

// The fields of a matrix descriptor (PTX ISA, "Matrix descriptor"): bytes.
uint32_t start_of(uint64_t descriptor) { return uint32_t(descriptor & 0x3fff) << 4; }
uint32_t leading_of(uint64_t descriptor) { return uint32_t(descriptor >> 16 & 0x3fff) << 4; }
uint32_t stride_of(uint64_t descriptor) { return uint32_t(descriptor >> 32 & 0x3fff) << 4; }
uint32_t k_major_place(uint64_t descriptor, int row, int k) {
  return start_of(descriptor) + uint32_t(row / 8) * stride_of(descriptor) + uint32_t(row % 8 * 128 + k * 2);
}
uint32_t n_major_place(uint64_t descriptor, int n, int k) {
  return start_of(descriptor) + uint32_t(n / 64) * leading_of(descriptor) + uint32_t(k / 8) * stride_of(descriptor) +
         uint32_t(k % 8 * 128 + n % 64 * 2);
}

// Where register i of thread t of a warpgroup stands in d[64,n]; two words of a stand like two registers.
int row_of(int t, int i) { return 16 * (t / 32) + t % 32 / 4 + 8 * (i / 2 % 2); }
int column_of(int t, int i) { return 8 * (i / 4) + 2 * (t % 4) + i % 2; }

void run_product(const Product& p, const Block& block) {
  static float a[64][16], b[16][256], d[64][256];
  if (p.joined != kGroup) refuse("a product that not all threads of the warpgroup issued");
  if (p.b >> 62 != 1 || (!p.a_in_registers && p.a >> 62 != 1)) refuse("an operand that is not swizzled by 128 bytes");
  for (int t = 0; p.a_in_registers && t < kGroup; t++)
    for (int w = 0; w < 4; w++) {
      a[row_of(t, 2 * w)][column_of(t, 2 * w)] = low_half(p.words[t][w]);
      a[row_of(t, 2 * w)][column_of(t, 2 * w) + 1] = high_half(p.words[t][w]);
    }
  for (int row = 0; !p.a_in_registers && row < 64; row++)
    for (int k = 0; k < 16; k++) a[row][k] = element_at(block, k_major_place(p.a, row, k));
  for (int n = 0; n < p.n; n++)
    for (int k = 0; k < 16; k++)
      b[k][n] = element_at(block, p.b_is_n_major ? n_major_place(p.b, n, k) : k_major_place(p.b, n, k));
  std::memset(d, 0, sizeof d);
  for (int row = 0; row < 64; row++)
    for (int k = 0; k < 16; k++)
      for (int n = 0; n < p.n; n++) d[row][n] += a[row][k] * b[k][n];
  for (int t = 0; t < kGroup; t++)
    for (int i = 0; i < p.n / 2; i++) {
      const float sum = d[row_of(t, i)][column_of(t, i)];
      p.d[t][i] = p.add ? p.d[t][i] + sum : sum;
    }
}

// The last thread of the warpgroup to come does the work.
template <class F>
void together(F&& work) {
  Warpgroup& group = *self->group;
  if (group.meeting.arrived == kGroup - 1) work(group);
  meet(group.meeting, kGroup, true, "the warpgroup");
}

void finish_products(int pending) {
  together([&](Warpgroup& group) {
    const Block& block = *self->block;
    const size_t count = group.products.finish(pending, [&](const Product& p) { run_product(p, block); });
    for (Thread* thread = self - self->in_group, *end = thread + kGroup; thread < end; thread++) {
      thread->next_product -= count;
    }
  });
}

}  // namespace

void wgmma(int n, float* d, uint64_t a, const uint32_t* words, uint64_t b, bool add, bool b_is_n_major) {
  auto& queue = self->group->products;
  const size_t index = self->next_product++;
  if (index == queue.items.size()) {
    Product made{};
    made.n = n, made.a = a, made.b = b, made.add = add;
    made.a_in_registers = words != nullptr, made.b_is_n_major = b_is_n_major;
    queue.items.push_back(made);
  }
  Product& p = queue.items[index];
  if (p.n != n || p.a != a || p.b != b || p.add != add) refuse("threads of a warpgroup that issue different products");
  p.d[self->in_group] = d;
  if (words) std::memcpy(p.words[self->in_group], words, sizeof p.words[0]);
  p.joined++;
  if (seed() != 0) return;
  wgmma_commit();
  finish_products(0);
}
void wgmma_commit() {
  together([](Warpgroup& group) { group.products.commit(); });
}
void wgmma_wait(int pending) { finish_products(pending); }

void ldmatrix(uint32_t* words, uint32_t address, bool transposed) {
  if (address % 16 != 0) refuse("ldmatrix is not aligned");
  const Slots rows = exchange(0xffffffffu, &address, sizeof address);
  const uint8_t* memory = self->block->memory;
  const int l = self->lane;
  for (int i = 0; i < 4; i++) {
    const auto half = [&](int row, int column) {
      return uint32_t{value_at<uint16_t>(memory + value_at<uint32_t>(rows[8 * i + row]) + 2 * column)};
    };
    const int one = l / 4, two = l % 4 * 2;
    words[i] = transposed ? half(two, one) | half(two + 1, one) << 16 : half(one, two) | half(one, two + 1) << 16;
  }
  exchange(0xffffffffu, nullptr, 0);  // once all have read, the rows may change
}
void mma(float* sum, const uint32_t* a, uint32_t b0, uint32_t b1) {
  const uint32_t mine[6] = {a[0], a[1], a[2], a[3], b0, b1};
  const Slots all = exchange(0xffffffffu, mine, sizeof mine);
  const auto half = [&](int lane, int word, int k) {
    const auto both = value_at<uint32_t>(all[lane] + 4 * word);
    return k % 2 == 0 ? low_half(both) : high_half(both);
  };
  for (int i = 0; i < 4; i++) {
    const int row = row_of(self->lane, i), column = column_of(self->lane, i);
    float total = 0;
    for (int k = 0; k < 16; k++) {
      total += half(row % 8 * 4 + k % 8 / 2, row / 8 + k / 8 * 2, k) * half(column * 4 + k % 8 / 2, 4 + k / 8, k);
    }
    sum[i] += total;
  }
}

}  // namespace emulator
