/**
 * Kinds of things and doings for the lexicon's words, from WordNet's lexicographer files and the word lists.
 * @module
 */
import { type NounClass, nounClasses, packClasses, type VerbClass, verbClasses } from "../model/classes.ts";

/** Number of the first word, by frequency, that is too rare to be what a typing slip meant. */
const frequentWords = 9000;

/** WordNet's noun files (03 to 28, lexnames(5WN)) as kinds of things. */
const nounFiles: Record<number, NounClass> = {
  4: "event",
  5: "animal",
  6: "object",
  7: "idea",
  8: "body",
  9: "idea",
  10: "document",
  11: "event",
  12: "idea",
  13: "food",
  14: "person",
  15: "place",
  16: "idea",
  17: "object",
  18: "person",
  19: "event",
  20: "plant",
  21: "idea",
  22: "event",
  23: "time",
  24: "idea",
  25: "idea",
  26: "idea",
  27: "substance",
  28: "time",
};

/** WordNet's verb files (29 to 43) as kinds of doings. */
const verbFiles: Record<number, VerbClass> = {
  29: "physical",
  30: "change",
  31: "thought",
  32: "communication",
  33: "physical",
  34: "physical",
  35: "physical",
  36: "change",
  37: "thought",
  38: "physical",
  39: "thought",
  40: "authority",
  41: "communication",
  42: "state",
  43: "physical",
};

/** Lists whose words are of one kind, whatever WordNet says. */
const nounLists: Record<string, NounClass> = {
  software: "software",
  libraries: "software",
  commands: "software",
  formats: "computing",
  computing: "computing",
  data: "computing",
  documents: "document",
  hardware: "hardware",
  electronics: "hardware",
  labgear: "object",
  substances: "substance",
  handtools: "object",
  objects: "object",
  food: "food",
  plants: "plant",
  animals: "animal",
  body: "body",
  vehicles: "object",
  buildings: "place",
  places: "place",
  people: "person",
  names: "person",
  cities: "place",
  events: "event",
};
const verbLists: Record<string, VerbClass> = {
  physicalverbs: "physical",
  digitalverbs: "digital",
  talkverbs: "communication",
  mindverbs: "thought",
  authority: "authority",
};

/**
 * The byte of a word.
 * @param rank its place by frequency
 * @param files share of its senses in each of WordNet's lexicographer files; null if WordNet does not know it
 * @param lists names of the lists that it stands in
 */
export function classByte(rank: number, files: ArrayLike<number> | null, lists: readonly string[]): number {
  const best = <T extends string>(names: readonly T[], of: Record<number, T>, named: readonly (T | undefined)[]): T => {
    const shares = new Map<T, number>();
    if (files !== null) {
      for (const [file, name] of Object.entries(of)) shares.set(name, (shares.get(name) ?? 0) + files[Number(file)]);
    }
    // A list weighs nearly as much as all senses together: WordNet's server is mostly a person, ours is not.
    for (const name of named) if (name !== undefined) shares.set(name, (shares.get(name) ?? 0) + 0.9);
    const [name, share] = [...shares].sort((a, b) => b[1] - a[1])[0] ?? [names[0], 0];
    return share >= 0.1 ? name : names[0];
  };
  return packClasses(
    best(nounClasses, nounFiles, lists.map((list) => nounLists[list])),
    best(verbClasses, verbFiles, lists.map((list) => verbLists[list])),
    rank < frequentWords,
  );
}
