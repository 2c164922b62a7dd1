// Byte-pair training: counts words, then merges the most frequent pair again and again. The result depends on the texts
// alone: of pairs with equal counts the one with the lower first id goes first, then the one with the lower second id.
// A pair's count is the number of places where it stands, overlapping ones included ("aaa" has two of (a,a)), as in the
// usual trainers; it is merged from left to right.
#pragma once
#include <queue>
#include <utility>

#include "words.h"

namespace rs::tokenizer {

class Trainer {
 public:
  explicit Trainer(int32_t threads);
  // Adds documents: document i is text[ends[i−1] … ends[i]). Pieces do not cross documents. Not after begin().
  void add(const uint8_t* text, const double* ends, int64_t documents);
  // Ends the counting and prepares the merges.
  void begin();
  // Does up to `merges` merges; fewer when no pair is left.
  void step(int64_t merges);
  bool begun() const { return begun_; }
  bool exhausted() const { return begun_ && heap_.empty(); }
  // Merge i made entry 256 + i of these two entries.
  const std::vector<std::pair<uint32_t, uint32_t>>& merges() const { return merges_; }
  int64_t words() const { return words_; }

 private:
  struct Pair {
    uint32_t a, b;
    int64_t count;
    size_t first;    // its places are occurrences_[first … first + places)
    uint32_t places;
  };
  struct Candidate {
    int64_t count;  // when it was put into the heap; the pair's may be lower by now
    uint32_t a, b, pair;
    bool operator<(const Candidate& other) const {
      if (count != other.count) return count < other.count;
      return a != other.a ? a > other.a : b > other.b;
    }
  };
  // Sums over the places of one merge, by the id of a neighbour.
  struct Side {
    std::vector<int64_t> count;
    std::vector<uint32_t> places;
    std::vector<size_t> next;  // where the next place of the new pair goes
    std::vector<uint32_t> touched;
    std::vector<std::pair<uint32_t, uint32_t>> events;  // neighbour, place of the new pair
    void resize(size_t ids);
    void add(uint32_t id, int64_t weight, uint32_t place);
  };

  void lay_out(const WordCounts& counts);
  void count_bytes();
  void merge(Pair& pair);
  uint32_t add_pair(uint32_t a, uint32_t b, int64_t count, size_t first, uint32_t places);
  void lower(uint32_t a, uint32_t b, int64_t count);
  size_t slot_of(uint32_t a, uint32_t b) const;

  int32_t threads_;
  bool begun_ = false;
  int64_t words_ = 0;
  std::vector<WordCounts> counts_;
  // One element for each byte of the distinct words, with a border before and after each word. The first and the last
  // byte of a token hold its id, so that both neighbours are found without links; a first byte that was swallowed by a
  // merge holds kInside, so that it is never taken for a token again.
  std::vector<uint32_t> tokens_;
  std::vector<uint32_t> word_of_;
  std::vector<int64_t> weights_;   // count by word
  std::vector<uint32_t> lengths_;  // bytes by id
  std::vector<Pair> pairs_;
  std::vector<uint32_t> slots_;    // hash of (a, b) → pair number + 1
  std::vector<uint32_t> occurrences_;
  std::priority_queue<Candidate> heap_;
  Side left_, right_;
  std::vector<std::pair<uint32_t, uint32_t>> merges_;
};

}  // namespace rs::tokenizer
