/** Promises of the process that asks a `train.ts` about its constants: what it answers, and what it cannot read. */
import { deepStrictEqual as equal, ok } from "node:assert";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { askValid } from "../trainer/overnight/check.ts";

const body = `export const createModel = () => {};
export const train = () => {};
`;

/** A tree with one train.ts, and a file outside it that is somebody else's. */
async function withTree(
  work: (ask: (source: string) => Promise<(true | string)[]>, outside: (name: string) => string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const [root, scratch, other] = ["repo", "scratch", "other"].map((name) => join(folder, name));
    for (const path of [join(root, "trainer"), join(root, "cuda"), scratch, other]) {
      await Deno.mkdir(path, { recursive: true });
    }
    await Deno.writeTextFile(join(root, "trainer", "part.ts"), "export const limit = 4;\n");
    await Deno.writeTextFile(join(other, "secret.json"), JSON.stringify("s3cret-words"));
    await Deno.writeTextFile(join(other, "secret.txt"), "s3cret-words");
    await Deno.writeTextFile(join(other, "secret.ts"), "export default 's3cret-words';");
    await work(async (source) => {
      await Deno.writeTextFile(join(root, "trainer", "train.ts"), source);
      const answer = await askValid(root, [{ depth: 3 }, { depth: 5 }], scratch);
      equal([...Deno.readDirSync(scratch)], []);
      return answer;
    }, (name) => pathToFileURL(join(other, name)).href);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("valid() is asked with the tree's own modules at hand; its answer is one line of 500 characters at most", () =>
  withTree(async (ask) => {
    const valid = `export const valid = ({ depth }) => depth <= limit || "too deep:\\n\\t" + "x".repeat(9999);`;
    const [first, second] = await ask(`import { limit } from "./part.ts";\n${valid}\n${body}`);
    equal(first, true);
    ok(typeof second === "string" && second.startsWith("too deep: xxx") && second.length === 500, String(second));
    equal(await ask(body), [true, true]);
    equal(await ask("export const train = () => {};"), Array(2).fill("train.ts exports no function createModel"));
    const [thrown] = await ask("throw new Error('a' + '\\n' + 'b'.repeat(9999));");
    ok(typeof thrown === "string" && thrown.length <= 500 && !thrown.includes("\n"), String(thrown));
  }));

Deno.test("a train.ts under check reads no file outside the tree's code, by no kind of import, and nothing of one is told", () =>
  withTree(async (ask, outside) => {
    const answer = `export const valid = () => String(secret);\n${body}`;
    const imports = (name: string, type: string) => {
      const url = JSON.stringify(outside(name));
      const attribute = type === "" ? "" : `with { type: "${type}" }`;
      const option = type === "" ? "" : `, { with: { type: "${type}" } }`;
      return [
        `import secret from ${url} ${attribute};\n${answer}`,
        `const secret = (await import(${url}${option})).default;\n${answer}`,
        `let secret = "";\ntry { secret = (await import(${url}${option})).default } catch (e) { secret = "caught " + e }\n${answer}`,
      ];
    };
    const path = `new URL(${JSON.stringify(outside("secret.txt"))})`;
    const sources = [
      ...imports("secret.json", "json"),
      ...imports("secret.txt", "text"),
      ...imports("secret.ts", ""),
      `const secret = Deno.readTextFileSync(${path});\n${answer}`,
      `export const valid = () => { throw new Error(Deno.readTextFileSync(${path})); };\n${body}`,
    ];
    for (const source of sources) {
      const verdicts = await ask(source);
      for (const verdict of verdicts) {
        ok(verdict !== true && !verdict.includes("s3cret"), `${source}\n${verdict}`);
        ok(/Requires read access|NotCapable|not support|Unsupported|unstable/i.test(verdict), `${source}\n${verdict}`);
      }
    }
  }));

Deno.test("a train.ts under check gets nothing from npm or the network", () =>
  withTree(async (ask) => {
    for (const [url, gate] of [["npm:left-pad", /--no-npm/], ["https://deno.land/x/a.ts", /--no-remote/]] as const) {
      for (const source of [`import "${url}";\n${body}`, `await import("${url}");\n${body}`]) {
        for (const verdict of await ask(source)) ok(gate.test(String(verdict)), `${source}\n${verdict}`);
      }
    }
  }));

Deno.test("valid() may not read what the imports of its file could", () =>
  withTree(async (ask) => {
    const read = `Deno.readTextFileSync(new URL("./part.ts", import.meta.url))`;
    const [verdict] = await ask(`export const valid = () => ${read};\n${body}`);
    ok(/valid\(\) threw: NotCapable/.test(String(verdict)), String(verdict));
  }));
