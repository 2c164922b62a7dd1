/**
 * The material of the recall test: reads `data/memory-recall.txt` and makes thousands of distractors in the same words.
 * Distractors speak of the same things as the facts (nodes, leases, lunches, learning rates) but of other people, places
 * and values, so that a question shares words with many of them.
 */

/** An entry of the file. */
export interface Fact {
  name: string;
  date: string;
  text: string;
}

/** A question with the names of the entries that answer it, and of those that did so in the past. */
export interface Question {
  text: string;
  kind: "one" | "present" | "several";
  evidence: string[];
  outdated: string[];
}

/** All of the file. */
export interface Material {
  facts: Fact[];
  questions: Question[];
  unrelated: string[];
}

/** Reads the file; its first lines say how it is laid out. */
export function readMaterial(): Material {
  const facts: Fact[] = [], questions: Question[] = [], unrelated: string[] = [];
  let date = "";
  const lines = Deno.readTextFileSync(new URL("data/memory-recall.txt", import.meta.url)).split("\n");
  for (const line of lines) {
    if (line === "" || line.startsWith("#")) continue;
    if (line.startsWith("@ ")) date = line.slice(2);
    else if (line.startsWith("- ")) unrelated.push(line.slice(2));
    else if (line.startsWith("? ") || line.startsWith("! ")) {
      const [text, names] = line.slice(2).split(" = ");
      const [evidence, outdated = ""] = names.split(" < ");
      const split = (part: string) => part.split(" ").filter((name) => name !== "");
      const kind = line.startsWith("!") ? "present" : split(evidence).length > 1 ? "several" : "one";
      questions.push({ text, kind, evidence: split(evidence), outdated: split(outdated) });
    } else {
      const at = line.indexOf(": ");
      facts.push({ name: line.slice(0, at), date, text: line.slice(at + 2) });
    }
  }
  return { facts, questions, unrelated };
}

const list = (text: string) => text.trim().split(/\s*\|\s*|\n\s*/);

const people = list(`Agnes | Boris | Carmen | Dmitri | Esther | Farid | Greta | Hassan | Ingrid | Jamal | Katja | Leon |
  Miriam | Nikolai | Oona | Pablo | Quentin | Rosa | Stefan | Tamara | Ulrich | Vera | Walid | Xenia | Yannick | Zoe`)
  .map((name) => name.replace(/ \|$/, ""));
const things = list(
  `backup of the archive | lease of the garage | passport photo | budget of the choir | shelf in the hall
  boiler of the sauna | tokenizer of the old project | learning rate of the small model | batch of blue tiles
  window of the kitchen | warm-up of the engine | certificate for the course | printer in the library
  lunch of the department | appointment with the optician | code of the garden gate | keys of the cellar
  rent for the parking space | lamp in the corridor | node of the test cluster | fan of the projector
  loss curve of the first run | cache of the browser | index of the photo album | ticket for the museum
  rug in the entrance | vocabulary of the translation model | checkpoint from last month | survey about the canteen
  teacher's desk | dentist's bill | flight to Vienna | ferry to the mainland | cheese from the market
  report for the auditors | deposit for the boat | fuse of the oven | pump of the fountain | review of the draft
  seed for the sampler | sourdough recipe | goal for the autumn | score of the quiz | evaluation of the course
  route through the tunnel | gradient of the ramp | attention of the audience | memory of the old laptop
  disk for the recordings | phone in the lobby | quota of the mailbox | delivery of the curtains | roof of the garage
  cookie jar | poster of the exhibition | interview with the mayor | filter of the vacuum cleaner | badge for the fair
  network at the hotel | cat of the neighbours | bike of the postman | allergy leaflet | thesis template
  invoice from the florist | dog from the shelter | piano in the cafeteria | violin case | milk for the office
  deadline for the tax form | schedule of the trains | latency of the chat server | commit message`,
);
const doings = list(
  `asked about the | forgot the | wrote a note on the | will take care of the | paid for the | lost the
  cannot find the | moved the | replaced the | measured the | complained about the | took a picture of the
  postponed the | cancelled the | ordered the | checked the | praised the | described the | sent a mail about the
  is responsible for the`,
);
const times = list(`on Monday | before lunch | in the second week | at nine in the evening | during the meeting
  after the holidays | for the third time | without telling anybody | because of the storm | at the last minute
  in spring | in November | since Thursday | twice a month | within an hour | as agreed | by mistake | in the server room
  on the third floor | together with the accountant`);
const results = list(`it cost 35 dollars | nobody objected | the value is 0.05 | it took 14 minutes | the old one stays
  there is a photo in the folder | it works again | two of five were wrong | the difference was below 2 percent
  the answer comes next week | it needs a new password | the room was too warm | the limit is 500 a day
  it is stored in the blue box | it runs at half speed | that was decided by a vote | it is 16 percent faster now
  the rest is for the school | it should be done by April | the error came back | it has to be renewed every year`);

/** Entries that answer no question. */
export function makeDistractors(count: number, seed: number): Fact[] {
  let state = seed;
  const pick = <T>(from: readonly T[]): T => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return from[Math.floor((state / 2 ** 32) * from.length)];
  };
  return Array.from({ length: count }, (_, index) => {
    const [who, other] = [pick(people), pick(people)];
    const text = pick([
      () => `${who} ${pick(doings)} ${pick(things)} ${pick(times)}; ${pick(results)}.`,
      () => `${who} and ${other} talked about the ${pick(things)} and the ${pick(things)}: ${pick(results)}.`,
      () => `The ${pick(things)} was handed to ${who} ${pick(times)}, and ${pick(results)}.`,
      () => `${who} wants to know why the ${pick(things)} is late; ${other} says that ${pick(results)}.`,
    ])();
    const day = Math.floor((index / count) * 105);
    return {
      name: `distractor${index}`,
      date: new Date(Date.UTC(2026, 0, 5 + day)).toISOString().slice(0, 10),
      text,
    };
  });
}

/** Facts and distractors in the order of their days. */
export function mixed(material: Material, distractors: readonly Fact[]): Fact[] {
  return [...material.facts, ...distractors].sort((a, b) => (a.date < b.date ? -1 : a.date > b.date ? 1 : 0));
}
