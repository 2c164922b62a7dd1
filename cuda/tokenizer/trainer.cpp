// The merges. Invariants that make one pass a merge enough: a pair that holds the new id can only arise while that id is
// made, so the list of a pair's places is complete, and in rising order, when the merge that creates it ends; later
// merges only make places in it stale, which is seen by looking. Counts only fall after that, so a candidate in the heap
// is an upper bound and is put back when it turns out too high.
#include "trainer.h"

#include "../impl.h"
#include "split.h"
#include "threads.h"

namespace rs::tokenizer {
namespace {

constexpr uint32_t kBorder = 0xFFFFFFFF;  // stands before, between and after words
constexpr uint32_t kInside = 0xFFFFFFFE;  // the first byte of a token that went into another one
constexpr size_t kChunk = size_t(1) << 18;

}  // namespace

Trainer::Trainer(int32_t threads) : threads_(thread_count_for(threads)), counts_(threads_) {}

void Trainer::add(const uint8_t* text, const double* ends, int64_t documents) {
  struct Range {
    const uint8_t *begin, *end;
  };
  std::vector<Range> ranges;
  const uint8_t* begin = text;
  for (int64_t i = 0; i < documents; i++) {
    const uint8_t* end = text + static_cast<size_t>(ends[i]);
    while (begin < end) {
      const uint8_t* cut = static_cast<size_t>(end - begin) <= kChunk ? end : safe_cut(begin + kChunk, begin, end);
      ranges.push_back({begin, cut});
      begin = cut;
    }
  }
  // Chunks of about kChunk bytes, so that many small documents do not cost a queue access each.
  std::vector<size_t> groups{0};
  size_t bytes = 0;
  for (size_t i = 0; i < ranges.size(); i++) {
    bytes += static_cast<size_t>(ranges[i].end - ranges[i].begin);
    if (bytes >= kChunk || i + 1 == ranges.size()) {
      groups.push_back(i + 1);
      bytes = 0;
    }
  }
  for_each_item(static_cast<int64_t>(groups.size()) - 1, threads_, [&](int64_t group, int32_t thread) {
    for (size_t i = groups[group]; i < groups[group + 1]; i++) counts_[thread].add_text(ranges[i].begin, ranges[i].end);
  });
}

void Trainer::begin() {
  for (size_t i = 1; i < counts_.size(); i++) counts_[0].take(counts_[i]);
  lay_out(counts_[0]);
  counts_.clear();
  begun_ = true;
  count_bytes();
}

void Trainer::lay_out(const WordCounts& counts) {
  size_t places = 1;
  for (const WordCounts::Word& word : counts.words()) places += word.length > 1 ? word.length + 1 : 0;
  if (places >= kInside) throw Error{RS_OUT_OF_MEMORY, "the distinct words of the text have more than 2^32 bytes"};
  words_ = static_cast<int64_t>(counts.words().size());
  tokens_.reserve(places);
  word_of_.reserve(places);
  tokens_.push_back(kBorder);
  word_of_.push_back(0);
  for (const WordCounts::Word& word : counts.words()) {
    if (word.length < 2) continue;
    const uint32_t number = static_cast<uint32_t>(weights_.size());
    weights_.push_back(word.count);
    const uint8_t* bytes = counts.bytes().data() + word.offset;
    tokens_.insert(tokens_.end(), bytes, bytes + word.length);
    tokens_.push_back(kBorder);
    word_of_.insert(word_of_.end(), word.length + 1, number);
  }
  lengths_.assign(256, 1);
  for (Side* side : {&left_, &right_}) side->resize(256);
}

void Trainer::count_bytes() {
  std::vector<int64_t> count(65536, 0);
  std::vector<uint32_t> places(65536, 0);
  auto each_pair = [&](auto&& visit) {
    for (size_t i = 1; i + 1 < tokens_.size(); i++) {
      if (tokens_[i] != kBorder && tokens_[i + 1] != kBorder) visit(tokens_[i] << 8 | tokens_[i + 1], i);
    }
  };
  each_pair([&](uint32_t pair, size_t i) {
    count[pair] += weights_[word_of_[i]];
    places[pair]++;
  });
  slots_.assign(size_t(1) << 17, 0);
  std::vector<size_t> next(65536, 0);
  size_t first = 0;
  for (uint32_t pair = 0; pair < 65536; pair++) {
    next[pair] = first;
    if (places[pair]) add_pair(pair >> 8, pair & 255, count[pair], first, places[pair]);
    first += places[pair];
  }
  occurrences_.resize(first);
  each_pair([&](uint32_t pair, size_t i) { occurrences_[next[pair]++] = static_cast<uint32_t>(i); });
}

size_t Trainer::slot_of(uint32_t a, uint32_t b) const {
  const size_t mask = slots_.size() - 1;
  uint64_t key = (static_cast<uint64_t>(a) << 32 | b) * 0x9e3779b97f4a7c15ull;
  for (size_t slot = (key ^ key >> 32) & mask;; slot = (slot + 1) & mask) {
    const uint32_t index = slots_[slot];
    if (index == 0 || (pairs_[index - 1].a == a && pairs_[index - 1].b == b)) return slot;
  }
}

uint32_t Trainer::add_pair(uint32_t a, uint32_t b, int64_t count, size_t first, uint32_t places) {
  const uint32_t index = static_cast<uint32_t>(pairs_.size());
  pairs_.push_back({a, b, count, first, places});
  if (pairs_.size() * 2 > slots_.size()) {
    slots_.assign(slots_.size() * 2, 0);
    for (size_t i = 0; i < pairs_.size(); i++) slots_[slot_of(pairs_[i].a, pairs_[i].b)] = static_cast<uint32_t>(i + 1);
  } else {
    slots_[slot_of(a, b)] = index + 1;
  }
  heap_.push({count, a, b, index});
  return index;
}

void Trainer::lower(uint32_t a, uint32_t b, int64_t count) {
  const uint32_t index = slots_[slot_of(a, b)];
  if (index == 0) throw Error{RS_INTERNAL, "a pair of neighbours was never counted"};
  pairs_[index - 1].count -= count;
}

void Trainer::Side::resize(size_t ids) {
  count.resize(ids, 0);
  places.resize(ids, 0);
  next.resize(ids, 0);
}

void Trainer::Side::add(uint32_t id, int64_t weight, uint32_t place) {
  if (places[id]++ == 0) touched.push_back(id);
  count[id] += weight;
  events.emplace_back(id, place);
}

void Trainer::step(int64_t merges) {
  while (merges > 0 && !heap_.empty()) {
    const Candidate top = heap_.top();
    heap_.pop();
    Pair& pair = pairs_[top.pair];
    if (pair.count == top.count) {
      merge(pair);
      merges--;
    } else if (pair.count > 0) {
      heap_.push({pair.count, top.a, top.b, top.pair});
    }
    // What is left in the heap may be worn out altogether; exhausted() has to see that.
    while (!heap_.empty() && pairs_[heap_.top().pair].count <= 0) heap_.pop();
  }
}

void Trainer::merge(Pair& pair) {
  const uint32_t a = pair.a, b = pair.b, made = static_cast<uint32_t>(lengths_.size());
  const uint32_t length_a = lengths_[a], length_b = lengths_[b];
  merges_.emplace_back(a, b);
  lengths_.push_back(length_a + length_b);
  for (Side* side : {&left_, &right_}) side->resize(lengths_.size());
  int64_t swallowed = 0;  // pairs (made, a) that arose in this pass and went into (made, made)
  for (size_t i = pair.first; i < pair.first + pair.places; i++) {
    const uint32_t p = occurrences_[i], q = p + length_a;
    if (tokens_[p] != a || tokens_[q] != b) continue;
    const uint32_t after = q + length_b;
    const int64_t weight = weights_[word_of_[p]];
    const uint32_t before = tokens_[p - 1], next = tokens_[after];
    if (before != kBorder) {
      left_.add(before, weight, p - lengths_[before]);
      if (before == made) swallowed += weight;
    }
    if (next != kBorder) right_.add(next, weight, p);
    tokens_[q] = kInside;
    tokens_[p] = made;
    tokens_[after - 1] = made;
  }
  pair.count = 0;
  // A place where `made` stood to the left had its right neighbour a counted already: the two counts belong together.
  for (uint32_t id : left_.touched) {
    if (id != made) lower(id, a, left_.count[id]);
  }
  for (uint32_t id : right_.touched) lower(b, id, right_.count[id]);
  right_.count[a] -= swallowed;
  size_t first = occurrences_.size();
  occurrences_.resize(first + left_.events.size() + right_.events.size());
  for (Side* side : {&left_, &right_}) {
    for (uint32_t id : side->touched) {
      if (side->count[id] > 0) {
        add_pair(side == &left_ ? id : made, side == &left_ ? made : id, side->count[id], first, side->places[id]);
      }
      side->next[id] = first;
      first += side->places[id];
    }
    for (const auto& [id, place] : side->events) occurrences_[side->next[id]++] = place;
    for (uint32_t id : side->touched) side->count[id] = 0, side->places[id] = 0;
    side->touched.clear();
    side->events.clear();
  }
}

}  // namespace rs::tokenizer
