#include "encoder.h"

#include <cstring>

#include "../impl.h"
#include "split.h"
#include "threads.h"

namespace rs::tokenizer {
namespace {

constexpr size_t kSlots = size_t(1) << 16;  // 4 MB a thread
constexpr size_t kChunk = size_t(1) << 17;  // bytes of text that one thread takes at a time
constexpr size_t kLongestKey = 31, kMostIds = 7;

uint64_t mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

Encoder::Encoder(Model model, int32_t threads)
    : model_(std::move(model)), threads_(thread_count_for(threads)), team_(threads_) {}

template <class Id>
size_t Encoder::encode_range(Id* ids, const uint8_t* begin, const uint8_t* end, const uint8_t* readable, Thread& thread) {
  if (!thread.slots) {
    thread.slots.reset(new Slot[kSlots]);
    std::memset(thread.slots.get(), 0, kSlots * sizeof(Slot));
  }
  Id* const start = ids;
  while (begin < end) {
    const uint8_t* stop = next_piece(begin, end);
    const size_t n = static_cast<size_t>(stop - begin);
    if (n == 1) {
      *ids++ = *begin;
      begin = stop;
      continue;
    }
    if (n <= kLongestKey) {
      uint64_t key[4] = {0, 0, 0, 0};
      uint64_t hash;
      if (n <= 8) {
        if (readable - begin >= 8) {
          std::memcpy(key, begin, 8);
          key[0] &= ~uint64_t(0) >> (64 - 8 * n);
        } else {
          std::memcpy(key, begin, n);
        }
        key[3] = static_cast<uint64_t>(n) << 56;
        hash = mix(key[0] ^ 0xa0761d6478bd642full, 0xe7037ed1a0b428dbull ^ n);
      } else {
        std::memcpy(key, begin, n);
        key[3] |= static_cast<uint64_t>(n) << 56;
        hash = mix(mix(key[0] ^ 0xa0761d6478bd642full, key[1] ^ 0xe7037ed1a0b428dbull),
                   mix(key[2] ^ 0x8ebc6af09c88c6e3ull, key[3] ^ 0x589965cc75374cc3ull) ^ 0x1d8e4e27c47d124full);
      }
      Slot& slot = thread.slots[hash & (kSlots - 1)];
      if (((slot.key[0] ^ key[0]) | (slot.key[1] ^ key[1]) | (slot.key[2] ^ key[2]) | (slot.key[3] ^ key[3])) == 0) {
        for (uint32_t i = 0; i < slot.count; i++) *ids++ = static_cast<Id>(slot.ids[i]);
      } else {
        uint32_t made[kLongestKey];
        const size_t count = model_.encode_piece(made, begin, n, thread.workspace);
        if (count <= kMostIds) {
          std::memcpy(slot.key, key, 32);
          std::memcpy(slot.ids, made, count * sizeof(uint32_t));
          slot.count = static_cast<uint32_t>(count);
        }
        for (size_t i = 0; i < count; i++) *ids++ = static_cast<Id>(made[i]);
      }
    } else {
      if (thread.ids.size() < n) thread.ids.resize(n);
      const size_t count = model_.encode_piece(thread.ids.data(), begin, n, thread.workspace);
      for (size_t i = 0; i < count; i++) *ids++ = static_cast<Id>(thread.ids[i]);
    }
    begin = stop;
  }
  return static_cast<size_t>(ids - start);
}

template <class Id>
size_t Encoder::encode(Id* ids, double* id_ends, const uint8_t* text, const double* ends, int64_t documents) {
  // Every range of text puts its ids where its bytes would lie, which always suffices; then they are moved together.
  struct Range {
    size_t begin, end, ids;
    bool ends_document;
  };
  std::vector<Range> ranges;
  size_t begin = 0;
  for (int64_t i = 0; i < documents; i++) {
    const size_t end = static_cast<size_t>(ends[i]);
    do {
      const size_t cut = end - begin <= kChunk ? end : safe_cut(text + begin + kChunk, text + begin, text + end) - text;
      ranges.push_back({begin, cut, 0, cut == end});
      begin = cut;
    } while (begin < end);
  }
  std::vector<size_t> groups{0};
  size_t bytes = 0;
  for (size_t i = 0; i < ranges.size(); i++) {
    bytes += ranges[i].end - ranges[i].begin;
    if (bytes >= kChunk || i + 1 == ranges.size()) {
      groups.push_back(i + 1);
      bytes = 0;
    }
  }
  for_each_item(static_cast<int64_t>(groups.size()) - 1, threads_, [&](int64_t group, int32_t thread) {
    for (size_t i = groups[group]; i < groups[group + 1]; i++) {
      Range& range = ranges[i];
      range.ids = encode_range(ids + range.begin, text + range.begin, text + range.end, text + begin, team_[thread]);
    }
  });
  size_t count = 0;
  for (const Range& range : ranges) {
    if (count != range.begin) std::memmove(ids + count, ids + range.begin, range.ids * sizeof(Id));
    count += range.ids;
    if (range.ends_document) *id_ends++ = static_cast<double>(count);
  }
  return count;
}

template size_t Encoder::encode(uint16_t*, double*, const uint8_t*, const double*, int64_t);
template size_t Encoder::encode(uint32_t*, double*, const uint8_t*, const double*, int64_t);

}  // namespace rs::tokenizer
