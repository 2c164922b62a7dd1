// Counts of the distinct pieces of a text. A table for each thread; merged when the text is complete.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace rs::tokenizer {

class WordCounts {
 public:
  struct Word {
    size_t offset;    // into bytes()
    uint32_t length;
    uint32_t tag;     // upper half of the hash
    int64_t count;
  };
  // Adds `count` to the word; length < 2^32.
  void add(const uint8_t* word, size_t length, int64_t count);
  // Adds every piece of the text.
  void add_text(const uint8_t* begin, const uint8_t* end);
  // Adds the words of another table, which is emptied.
  void take(WordCounts& other);
  const std::vector<Word>& words() const { return words_; }
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  void clear();

 private:
  void grow();
  std::vector<Word> words_;
  std::vector<uint8_t> bytes_;
  std::vector<uint32_t> slots_;  // word number + 1, 0 is free
};

}  // namespace rs::tokenizer
