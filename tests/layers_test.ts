/**
 * Holds the order of the layers: a file imports only from its own layer or a lower one, nothing imports in a circle,
 * and the training path has no npm package. Reads the module graphs that `deno info --json` reports.
 */
import { relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Bottom to top; the first pattern that fits decides. */
const layers: [name: string, pattern: RegExp][] = [
  ["cuda", /^cuda\//],
  ["memory", /^memory\//],
  ["tensor layer", /^trainer\/(ops\/.*|tensor|tape|autograd|nn|optim|schedule|safetensors|contract)(\.ts)?$/],
  ["harness", /^trainer\/(data\/.*|tokenizer|tokenizer_files|_utf8|prepare|presets|space)(\.ts)?$/],
  ["train.ts", /^trainer\/train\.ts$/],
  ["run", /^trainer\/(run\/.*|parity\.ts|tune\.ts|bench\.ts|bench\/.*)$/],
  ["overnight", /^trainer\/overnight\//],
  ["report", /^trainer\/report\//],
  ["router", /^router\/(?!training\/)/],
  // Trains the router's model with the tensor layer; the router itself never loads it.
  ["router training", /^router\/training\//],
  ["top", /^(mod|cli)\.ts$|^trainer\/mod\.ts$/],
];

const layerOf = (file: string): number => layers.findIndex(([, pattern]) => pattern.test(file));

/** What no file of the first layer may import of the second, though the second lies lower. */
const forbidden: [from: string, to: RegExp][] = [
  ["memory", /^cuda\//],
  ["run", /^trainer\/train\.ts$/],
  ["overnight", /^trainer\/train\.ts$/],
  ["router", /^(cuda|trainer)\//],
];
/** Tools that a person runs on train.ts itself; they are no part of a session. */
const tools = /^trainer\/(parity|tune|bench|bench\/(train|run))\.ts$/;

interface Graph {
  edges: Map<string, string[]>;
  packages: string[];
}

async function moduleGraph(entry: string): Promise<Graph> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-remote", entry],
    cwd: root,
  }).output();
  if (!output.success) throw new Error(`deno info ${entry}: ${new TextDecoder().decode(output.stderr)}`);
  const info = JSON.parse(new TextDecoder().decode(output.stdout));
  const edges = new Map<string, string[]>();
  const packages: string[] = [];
  for (const module of info.modules) {
    if (!module.specifier.startsWith("file:")) {
      if (module.kind === "npm") packages.push(module.specifier);
      continue;
    }
    const file = relative(root, fileURLToPath(module.specifier));
    const targets: string[] = [];
    for (const dependency of module.dependencies ?? []) {
      const target: string | undefined = dependency.code?.specifier ?? dependency.type?.specifier;
      if (target?.startsWith("file:")) targets.push(relative(root, fileURLToPath(target)));
      else if (target?.startsWith("npm:")) packages.push(target);
    }
    edges.set(file, targets);
  }
  return { edges, packages };
}

async function sourceFiles(): Promise<string[]> {
  const files: string[] = [];
  async function walk(folder: string) {
    for await (const entry of Deno.readDir(`${root}/${folder}`)) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory) await walk(path);
      else if (path.endsWith(".ts")) files.push(path);
    }
  }
  for (const folder of ["cuda", "memory", "trainer", "router"]) {
    if (await Deno.stat(`${root}/${folder}`).then(() => true, () => false)) await walk(folder);
  }
  for (const file of ["mod.ts", "cli.ts"]) {
    if (await Deno.stat(`${root}/${file}`).then(() => true, () => false)) files.push(file);
  }
  return files.sort();
}

/** All edges of all files, from one graph that starts at every file. */
async function wholeGraph(): Promise<Map<string, string[]>> {
  const all = new Map<string, string[]>();
  for (const file of await sourceFiles()) {
    if (all.has(file)) continue;
    for (const [from, targets] of (await moduleGraph(file)).edges) all.set(from, targets);
  }
  return all;
}

Deno.test("every source file belongs to a layer and imports only from its own or a lower one", async () => {
  const problems: string[] = [];
  for (const [from, targets] of await wholeGraph()) {
    const fromLayer = layerOf(from);
    if (fromLayer < 0) problems.push(`${from} belongs to no layer`);
    for (const to of targets) {
      const toLayer = layerOf(to);
      if (toLayer > fromLayer) {
        problems.push(`${from} (${layers[fromLayer]?.[0]}) imports ${to} (${layers[toLayer][0]})`);
      }
      for (const [layer, pattern] of forbidden) {
        if (layers[fromLayer]?.[0] === layer && pattern.test(to) && !tools.test(from)) {
          problems.push(`${from} must not import ${to}`);
        }
      }
    }
  }
  if (problems.length > 0) throw new Error(problems.join("\n"));
});

Deno.test("no file imports itself in a circle", async () => {
  const graph = await wholeGraph();
  const done = new Set<string>();
  const path: string[] = [];
  function visit(file: string) {
    if (path.includes(file)) throw new Error([...path.slice(path.indexOf(file)), file].join(" → "));
    if (done.has(file)) return;
    path.push(file);
    for (const target of graph.get(file) ?? []) visit(target);
    path.pop();
    done.add(file);
  }
  for (const file of graph.keys()) visit(file);
});

Deno.test("the training path has no npm package", async () => {
  for (const entry of ["trainer/train.ts", "trainer/run/worker.ts", "trainer/run/evaluator.ts"]) {
    const { packages } = await moduleGraph(entry);
    if (packages.length > 0) throw new Error(`${entry} reaches ${packages.join(", ")}`);
  }
});
