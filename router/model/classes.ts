/**
 * What kind of thing a word names and what kind of doing, in one byte: classes of nouns and of verbs, for the reasons that
 * the router gives. The model itself reads the vectors.
 * @module
 */

/** Kinds of things; the place in the list is stored in the low four bits. */
export const nounClasses = [
  "none",
  "object",
  "hardware",
  "substance",
  "food",
  "plant",
  "animal",
  "body",
  "person",
  "place",
  "software",
  "computing",
  "document",
  "event",
  "time",
  "idea",
] as const;

/** Kinds of doing; the place in the list is stored in the next three bits. */
export const verbClasses = [
  "none",
  "physical",
  "digital",
  "communication",
  "thought",
  "authority",
  "change",
  "state",
] as const;

/** Set for words that are so frequent that a typing slip is likely to have meant them. */
export const frequentBit = 128;

/** A kind of thing. */
export type NounClass = (typeof nounClasses)[number];
/** A kind of doing. */
export type VerbClass = (typeof verbClasses)[number];

/** The byte of a word. */
export function packClasses(noun: NounClass, verb: VerbClass, frequent: boolean): number {
  return nounClasses.indexOf(noun) | (verbClasses.indexOf(verb) << 4) | (frequent ? frequentBit : 0);
}

/** The kind of thing that a byte says. */
export const nounClassOf = (byte: number): NounClass => nounClasses[byte & 15];

/** The kind of doing that a byte says. */
export const verbClassOf = (byte: number): VerbClass => verbClasses[(byte >> 4) & 7];
