// Cuts UTF-8 text into the pieces of the pattern
//   '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+
// by hand, alternative by alternative; (?i:s) takes U+017F (ſ) too, as the peers' regex engines do. The pieces cover the
// text without gaps. A byte that is part of no well-formed UTF-8 sequence counts as one character of no class.
#pragma once
#include <cstddef>
#include <cstdint>

#include "unicode.gen.h"

namespace rs::tokenizer {

enum CharacterClass : uint8_t { kOther = 0, kLetter = 1, kNumber = 2, kSpace = 3 };

inline CharacterClass class_of(uint32_t c) {
  if (c >= unicode_limit) return kOther;
  return static_cast<CharacterClass>(unicode_blocks[unicode_index[c >> 8]][(c >> 4) & 15] >> (2 * (c & 15)) & 3);
}

struct AsciiClasses {
  uint8_t of[128];
  constexpr AsciiClasses() : of() {
    for (uint32_t c = 0; c < 128; c++) of[c] = unicode_blocks[unicode_index[0]][c >> 4] >> (2 * (c & 15)) & 3;
  }
};
constexpr AsciiClasses ascii_classes;

struct Character {
  CharacterClass kind;
  uint8_t length;  // bytes, 1…4
};

// The character at p < end that begins with a byte ≥ 0x80.
inline Character wide_character_at(const uint8_t* p, const uint8_t* end) {
  const size_t left = static_cast<size_t>(end - p);
  auto tail = [&](size_t i) { return (p[i] & 0xC0) == 0x80; };
  const uint32_t a = p[0];
  if (a >= 0xC2 && a < 0xE0 && left >= 2 && tail(1)) return {class_of((a & 31) << 6 | (p[1] & 63)), 2};
  if (a >= 0xE0 && a < 0xF0 && left >= 3 && tail(1) && tail(2)) {
    const uint32_t c = (a & 15) << 12 | (p[1] & 63u) << 6 | (p[2] & 63);
    if (c >= 0x800 && (c < 0xD800 || c >= 0xE000)) return {class_of(c), 3};
  }
  if (a >= 0xF0 && a < 0xF5 && left >= 4 && tail(1) && tail(2) && tail(3)) {
    const uint32_t c = (a & 7) << 18 | (p[1] & 63u) << 12 | (p[2] & 63u) << 6 | (p[3] & 63);
    if (c >= 0x10000 && c < 0x110000) return {class_of(c), 4};
  }
  return {kOther, 1};
}

inline Character character_at(const uint8_t* p, const uint8_t* end) {
  if (*p < 128) return {static_cast<CharacterClass>(ascii_classes.of[*p]), 1};
  return wide_character_at(p, end);
}

// The end of the run of characters of class `kind` that begins at p.
inline const uint8_t* skip_run(const uint8_t* p, const uint8_t* end, CharacterClass kind) {
  while (p < end) {
    if (*p < 128) {
      if (ascii_classes.of[*p] != kind) return p;
      p++;
    } else {
      const Character c = wide_character_at(p, end);
      if (c.kind != kind) return p;
      p += c.length;
    }
  }
  return p;
}

// Length of what follows an apostrophe in 's 'd 'm 't 'll 've 're, in any case; 0 when none of them stands at p.
inline size_t contraction_at(const uint8_t* p, const uint8_t* end) {
  if (p == end) return 0;
  const uint8_t a = *p | 32;
  if (*p < 128) {
    if (a == 's' || a == 'd' || a == 'm' || a == 't') return 1;
    if (end - p < 2 || p[1] >= 128) return 0;
    const uint8_t b = p[1] | 32;
    return (a == 'l' && b == 'l') || (a == 'v' && b == 'e') || (a == 'r' && b == 'e') ? 2 : 0;
  }
  return end - p >= 2 && p[0] == 0xC5 && p[1] == 0xBF ? 2 : 0;  // ſ
}

// The end of the piece that begins at p < end.
inline const uint8_t* next_piece(const uint8_t* p, const uint8_t* end) {
  const Character first = character_at(p, end);
  const uint8_t* second = p + first.length;
  switch (first.kind) {
    case kLetter:
      return skip_run(second, end, kLetter);
    case kNumber: {
      if (second == end) return end;
      const Character c = character_at(second, end);
      return c.kind == kNumber ? second + c.length : second;
    }
    case kOther: {
      if (*p == '\'') {
        if (const size_t n = contraction_at(second, end)) return second + n;
      }
      if (second < end) {
        const Character c = character_at(second, end);
        if (c.kind == kLetter) return skip_run(second + c.length, end, kLetter);
      }
      const uint8_t* q = skip_run(second, end, kOther);
      while (q < end && (*q == '\r' || *q == '\n')) q++;
      return q;
    }
    case kSpace:
      break;
  }
  if (second < end) {
    const Character c = character_at(second, end);
    if (c.kind == kLetter && *p != '\r' && *p != '\n') return skip_run(second + c.length, end, kLetter);
    if (c.kind == kOther && *p == ' ') {
      const uint8_t* q = skip_run(second + c.length, end, kOther);
      while (q < end && (*q == '\r' || *q == '\n')) q++;
      return q;
    }
  }
  // A run of white space: up to its last line end; else all of it where the text ends; else all but its last character.
  const uint8_t *q = p, *last = p, *line_end = nullptr;
  while (q < end) {
    const Character c = character_at(q, end);
    if (c.kind != kSpace) break;
    last = q;
    q += c.length;
    if (*last == '\r' || *last == '\n') line_end = q;
  }
  if (line_end) return line_end;
  return q == end || last == p ? q : last;
}

// The first place at or after p where a piece is certain to begin, whatever stands before and after it: the space of an
// ASCII letter and a space. `end` when there is none. Text may be cut here and its parts be worked on in parallel.
inline const uint8_t* safe_cut(const uint8_t* p, const uint8_t* begin, const uint8_t* end) {
  if (p <= begin) p = begin + 1;
  for (; p < end; p++) {
    if (*p == ' ' && p[-1] < 128 && ascii_classes.of[p[-1]] == kLetter) return p;
  }
  return end;
}

}  // namespace rs::tokenizer
