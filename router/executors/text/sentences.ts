/**
 * Cuts a paragraph into sentences. A full stop ends one unless it belongs to an abbreviation, an initial, a number or a
 * list; scripts without spaces end theirs by their own marks. Linear in the length of the paragraph.
 * @module
 */

/** Abbreviations that a name, a number or a word follows: never an end. */
const leading = new Set(
  ("mr mrs ms mx dr prof st mt ft gen col maj capt cmdr lt sgt adm rev hon gov sen rep pres sr jr messrs fr hr " +
    "vs viz cf resp approx ca c esp incl excl est fig figs eq eqs sec secs ch chap vol vols ed eds no nos nr art par para pp p pt pts " +
    "e.g i.e eg ie z.b d.h u.a i.d.r o.ä s vgl bzw evtl ggf inkl zzgl dipl ing bsp abb tab str mme mlle mm sra srta ud uds núm pág " +
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri sat dept univ assn bros al p.ex m.in np tzn tj ul " +
    "п г ул т.е т.к т.н им см напр bijv d.w.z o.a bl.a t.ex f.eks t.d dvs")
    .split(" "),
);
/** Abbreviations that a sentence may end with: an end where the next word looks like a beginning. */
const trailing = new Set(
  ("etc inc ltd co corp llc plc gmbh bros a.m p.m am pm u.s u.k e.u u.n u.s.a d.c ph.d m.d b.a m.a b.sc m.sc b.c a.d usw usf osv atd itd " +
    "ecc т.д т.п др std min max avg hrs hr sec ft lb lbs oz kg km cm mm mi yd gal tel ext misc temp").split(" "),
);
/** Words that begin sentences more often than they follow an abbreviation or an initial. */
const starters =
  /^(?:The|A|An|It|This|That|These|Those|He|She|We|They|I|You|There|In|On|At|But|And|However|If|When|After|Before|As|For|With|By|From|To|Our|His|Her|Its|Their|So|Then|Some|Most|Many|One|No|Not|What|Why|How|Since|While|Although|Because|Now|Here|Each|All|Both|Der|Die|Das|Ein|Eine|Es|Er|Sie|Wir|Ich|Im|Le|La|Les|Il|Elle|Un|Une|El|Los|Las|En|Se)$/;

// A mark of end, what may close after it, then a space or a script that needs none.
const ends =
  /([.!?…‽]+|[。！？｡．।॥؟۔։፧።]+)(["'”’»›)\]}*_」』）】〉》]*)(\s+|$|(?<=[。！？｡．][」』）】〉》"'”’)]*))/gu;

/** Whether a full stop after `before`, with `after` following, ends a sentence. */
function stopEnds(before: string, after: string): boolean {
  const next = after.match(/^["'“‘«„(\[*_]*([\p{L}\p{N}\p{S}]\S*)?/u)?.[1] ?? "";
  const first = next === "" ? "" : String.fromCodePoint(next.codePointAt(0)!);
  if (/^\p{Ll}$/u.test(first) && !/^[a-z]+[A-Z]|^[\w-]+\(|^(?:npm|git|deno|iPhone|iOS|macOS)\b/.test(next)) {
    return false;
  }
  const word = before.match(/[^\s(\[{"“”'‘’«„]*$/u)?.[0] ?? "";
  const bare = word.toLowerCase();
  // After a figure it is a unit: "in 3 min 3 s. Then …"
  if (/\d\s?\p{L}{1,3}$/u.test(before) && /^\p{Lu}/u.test(next)) return true;
  if (leading.has(bare)) {
    // "No." is an answer as well as a number; "p" and "c" may be names of things.
    if (bare === "no" || bare === "nos") return !/^[\d#]/.test(first);
    if (
      bare.length > 2 && starters.test(next.replace(/[,;:].*$/, "")) &&
      !/^(?:mr|mrs|ms|dr|prof|st|gen|col|e\.g|i\.e|z\.b)$/.test(bare)
    ) {
      return /^(?:jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|mon|tue|tues|wed|thu|thurs|fri|sat|fig|figs|sec|secs|al|pts?|art|ed|eds|est)$/
        .test(bare);
    }
    return false;
  }
  if (trailing.has(bare)) return /^[\p{Lu}\p{Lt}\p{Lo}]$/u.test(first) || next === "";
  // Abbreviations written apart: "z. B.", "i. e.", "d. h."
  if (/^\p{Ll}$/u.test(word) && /^\p{L}\.$/u.test(next)) return false;
  // An initial: one capital letter with a name before or after it.
  if (/^(?:\p{Lu}\.)*\p{Lu}$/u.test(word)) return starters.test(next.replace(/[,;:'’].*$/, ""));
  // A number or a letter at the very beginning counts a list.
  if (/^\s*(?:\d{1,3}|[a-z]|[ivx]{1,5})$/i.test(before) && before.trim() === word) return false;
  // German ordinals and dates: "am 3. Oktober", "der 21. Band".
  if (
    /^\d{1,2}$/.test(word) && /^(?:Jan|Feb|Mär|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez|Jahrhundert|Band|Kapitel)/.test(next)
  ) return false;
  return true;
}

/**
 * The sentences of one paragraph, trimmed, in order.
 * @param paragraph running text; line breaks in it count as spaces
 */
export function splitSentences(paragraph: string): string[] {
  const text = paragraph.replace(/\s+/g, " ").trim();
  const sentences: string[] = [];
  let start = 0;
  let depth = 0, counted = 0;
  for (const match of text.matchAll(ends)) {
    const mark = match.index;
    const end = mark + match[1].length + match[2].length;
    const before = text.slice(Math.max(start, mark - 80), mark);
    const after = text.slice(mark + match[0].length, mark + match[0].length + 60);
    for (; counted < end; counted++) {
      const code = text.charCodeAt(counted);
      if (code === 40) depth++;
      else if (code === 41) depth = Math.max(0, depth - 1);
    }
    if (match[1] === "." && after !== "" && !stopEnds(before, after)) continue;
    // "Stop!" she said; "What?" he asked; an ellipsis in mid-sentence.
    if (/^[!?…‽]|^\.{2,}/.test(match[1]) && /^["'“‘«(]*\p{Ll}/u.test(after)) continue;
    if (match[2] !== "" && /^(?:と|って|という)/.test(after)) continue;
    // Inside a short parenthesis nothing ends, as long as the parenthesis does.
    if (depth > 0 && text.slice(end, end + 300).includes(")")) continue;
    depth = 0;
    sentences.push(text.slice(start, end).trim());
    start = end;
  }
  const rest = text.slice(start).trim();
  if (rest !== "") sentences.push(rest);
  return sentences;
}
