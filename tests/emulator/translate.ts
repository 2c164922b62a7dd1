/**
 * CUDA sources as C++ for the emulated GPU of device.h: inline PTX becomes calls, variables in shared memory become
 * places in a block's memory. All else is C++ already, or a macro of device.h.
 * @module
 */
import { basename } from "node:path";

/** Where the bracket that opens at `at` is closed; brackets in strings and comments do not count. */
function closing(text: string, at: number): number {
  for (let i = at, depth = 0; i < text.length; i++) {
    if (text[i] === '"') { while (text[++i] !== '"') i += Number(text[i] === "\\"); }
    else if (text.startsWith("//", i)) i = text.indexOf("\n", i);
    else if ("([{".includes(text[i])) depth++;
    else if (")]}".includes(text[i]) && --depth === 0) return i;
  }
  throw new Error("a bracket is not closed");
}

/** The parts between separators outside of brackets and strings. */
function split(text: string, separator: string): string[] {
  const parts: string[] = [];
  let begin = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '"') { while (text[++i] !== '"') i += Number(text[i] === "\\"); }
    else if ("([{".includes(text[i])) i = closing(text, i);
    else if (text[i] === separator) parts.push(text.slice(begin, i)), begin = i + 1;
  }
  return [...parts, text.slice(begin)].map((part) => part.trim());
}

type Emit = (operands: string[], match: RegExpExecArray) => string;
const nothing: Emit = () => "((void)0)";

/**
 * What stands for an instruction, by how its text begins. Operands are written as PTX numbers them; arrays of registers
 * by the names that they have in the sources: d, a, m, sum.
 */
const instructions: readonly [RegExp, Emit][] = [
  [/^$/, nothing], // a compiler's barrier
  [/^(fence|prefetch|setmaxnreg|cp\.async\.bulk\.prefetch|wgmma\.fence)\b/, nothing],
  [/^\{.*nanosleep/s, nothing],
  [/^mbarrier\.init/, ([bar, arrivals]) => `emulator::mbarrier_init(${bar}, ${arrivals})`],
  [/^mbarrier\.arrive\.expect_tx/, ([bar, bytes]) => `emulator::mbarrier_arrive(${bar}, ${bytes})`],
  [/^mbarrier\.arrive/, ([bar]) => `emulator::mbarrier_arrive(${bar}, 0)`],
  [/^\{.*mapa.*mbarrier\.arrive/s, ([bar, block]) => `emulator::mbarrier_arrive_at(${bar}, ${block})`],
  [/^\{.*mbarrier\.try_wait/s, ([done, bar, parity]) => `emulator::mbarrier_wait(${bar}, ${parity}), ${done} = 1`],
  [/^bar\.sync/, ([id, threads]) => `emulator::barrier(${id}, ${threads})`],
  [/^bar\.arrive/, ([id, threads]) => `emulator::barrier(${id}, ${threads}, false)`],
  [/^barrier\.cluster/, () => "emulator::cluster_barrier()"],
  [
    /^cp\.async\.bulk\.tensor.*multicast/s,
    ([to, map, bar, c0, c1, blocks]) => `emulator::load_box(${to}, ${map}, ${bar}, {${c0}, ${c1}}, ${blocks})`,
  ],
  [
    /^cp\.async\.bulk\.tensor\.5d\.shared/, // one operand stands twice
    ([to, map, bar, c0, c1, c2, c4]) => `emulator::load_box(${to}, ${map}, ${bar}, {${[c0, c1, c2, c2, c4]}})`,
  ],
  [
    /^cp\.async\.bulk\.tensor\.\dd\.shared/,
    ([to, map, bar, ...at]) => `emulator::load_box(${to}, ${map}, ${bar}, {${at}})`,
  ],
  [
    /^cp\.async\.bulk\.tensor\.\dd\.global/,
    ([map, from, ...at]) => `emulator::store_box(${map}, ${from}, {${at}})`,
  ],
  [/^cp\.async\.bulk\.commit/, () => "emulator::store_commit()"],
  [/^cp\.async\.bulk\.wait_group/, ([pending]) => `emulator::store_wait(${pending})`],
  [/^wgmma\.commit/, () => "emulator::wgmma_commit()"],
  [/^wgmma\.wait/, ([pending]) => `emulator::wgmma_wait(${pending})`],
  [
    /wgmma\.mma_async\.sync\.aligned\.m64n(\d+)k16/,
    (operands, [, n]) => {
      // Behind the sums: a or its four words, b, whether to add, how b lies.
      const rest = operands.slice(Number(n) / 2);
      const [a, words] = rest.length === 4 ? [rest[0], "nullptr"] : ["0", "a"];
      return `emulator::wgmma(${[n, "d", a, words, ...rest.slice(-3)]})`;
    },
  ],
  [
    /^cp\.async\.c[ag]\S* \[%0\], \[%1\], (\d+)/,
    ([to, from, valid], [, bytes]) =>
      `emulator::copy(${to}, reinterpret_cast<const void*>(${from}), ${bytes}, ${valid ?? bytes})`,
  ],
  [/^cp\.async\.commit_group/, () => "emulator::copy_commit()"],
  [/^cp\.async\.wait_group (\d)/, (_, [, pending]) => `emulator::copy_wait(${pending})`],
  [/^cp\.async\.wait_all/, () => "emulator::copy_commit(), emulator::copy_wait(0)"],
  [
    /^ldmatrix.*\.x4(\.trans)?/,
    (operands, [, trans]) => `emulator::ldmatrix(m, ${operands[4]}, ${trans !== undefined})`,
  ],
  [/^mma\.sync.*m16n8k16/, () => "emulator::mma(sum, a, b0, b1)"],
  [/^ex2\.approx/, (operands) => `${operands[0]} = exp2f(${operands.at(-1)})`],
  [/^rcp\.approx/, (operands) => `${operands[0]} = 1.0f / ${operands.at(-1)}`],
  [/^sqrt\.approx/, (operands) => `${operands[0]} = sqrtf(${operands.at(-1)})`],
  [/^max\.NaN\.f32 %0, %0, 0f00000000/, ([x]) => `${x} = ${x} < 0 ? 0 : ${x}`],
  [/^mul\.wide\.u32/, ([to, x, y]) => `${to} = uint64_t{${x}} * ${y}`],
  [/^ld\.global\S*\.v4/, ([word, , , , from]) => `std::memcpy(&${word}, ${from}, 16)`],
  [
    /^\{.*@p ld\.global\S*\.v4/s,
    ([word, , , , from, wanted]) =>
      `if (${wanted}) std::memcpy(&${word}, ${from}, 16); else std::memset(&${word}, 0, 16)`,
  ],
  [
    /^st\.global\.v4/,
    ([to, ...words]) => `{ const uint32_t v[] = {${words}}; std::memcpy(${to}, v, 16); }`,
  ],
  [
    /^\{.*@p st\.global\.v4/s,
    ([a, b, c, d, to, wanted]) =>
      `if (${wanted}) { const uint32_t v[] = {${[a, b, c, d]}}; std::memcpy(${to}, v, 16); }`,
  ],
];

/** `(x)` of `"r"(x)`, without brackets around a name. */
function operand(text: string): string {
  const match = /^"[^"]*"\s*(\(.*\))$/s.exec(text);
  if (!match) throw new Error(`an operand of PTX that can't be read: ${text}`);
  return /^\([\w[\]]+\)$/.test(match[1]) ? match[1].slice(1, -1) : match[1];
}

/** The call that stands for `asm(body)`. */
function instruction(body: string): string {
  const [text, ...lists] = split(body.replaceAll(/\/\/[^"\n]*$/gm, ""), ":");
  const template = [...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, part]) => part.replaceAll("\\n", "\n")).join("");
  const operands = lists.slice(0, 2).flatMap((list) => list === "" ? [] : split(list, ",").map(operand));
  for (const [begin, emit] of instructions) {
    const match = begin.exec(template);
    if (match) return emit(operands, match);
  }
  throw new Error(`the emulated GPU does not know this PTX: ${template}`);
}

/** With another text in the place of `from`, which the source must have. */
function replaced(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new Error(`the emulated GPU looks in vain for: ${from}`);
  return text.replaceAll(from, to);
}

/**
 * A source of cuda/gpu for the emulated GPU.
 * @param place a number that no other source has
 * @throws Error for PTX that it does not know
 */
export function translate(source: string, path: string, place: number): string {
  let text = "", rest = source;
  for (let match; (match = /\basm\s*(?:volatile\s*)?\(/.exec(rest));) {
    const open = match.index + match[0].length - 1;
    const comment = /\/\/[^\n]*$/.test(rest.slice(0, open));
    const end = comment ? open : closing(rest, open);
    text += comment ? rest.slice(0, end + 1) : rest.slice(0, match.index) + instruction(rest.slice(open + 1, end));
    rest = rest.slice(end + 1);
  }
  text += rest;
  text = text.replaceAll(
    /extern __shared__ (?:__align__\(\d+\) )?([\w ]+) (\w+)\[\];/g,
    "$1* $2 = static_cast<$1*>(emulator::dynamic_shared());",
  );
  let variable = place * 1000;
  text = text.replaceAll(
    /__shared__ (?:__align__\(\d+\) )?(\w+) ([^;]+);/g,
    (_, type: string, names: string) =>
      split(names, ",").map((declared) => {
        const [name, ...sizes] = declared.split(/(?=\[)/), alias = `${name}_${++variable}`;
        return `typedef ${type} ${alias}${
          sizes.join("")
        }; auto& ${name} = emulator::static_shared<${alias}, ${variable}>();`;
      }).join(" "),
  );
  switch (basename(path)) {
    case "gpu.h": // where every launch passes
      return replaced(text, "  if (shape.grid.x == 0", "  emulator::remember(kernel);\n$&");
    case "cublaslt.cpp":
      return replaced(replaced(text, "dlopen(", "emulator::open_cublaslt("), "dlsym(", "emulator::find_cublaslt(");
    case "stream.cu": // members of a launch's configuration have these names
      return replaced(text, "namespace rs::gpu {", "#undef gridDim\n#undef blockDim\n$&");
  }
  return text;
}
