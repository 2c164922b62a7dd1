/** The list of executors is light: what planning imports holds no package, no database and none of the work. */
import { deepStrictEqual as equal, ok } from "node:assert";
import { fromFileUrl } from "./_paths.ts";

interface Module {
  specifier: string;
  kind?: string;
  dependencies?: { isDynamic?: boolean; code?: { specifier?: string } }[];
}

Deno.test("what the list imports at once is small and without packages, databases and the executors' work", async () => {
  const entry = fromFileUrl("../../router/executors/mod.ts");
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--no-remote", entry],
  }).output();
  ok(success);
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: Module[] };
  const byName = new Map(modules.map((module) => [module.specifier, module]));
  const root = modules.find(({ specifier }) => specifier.endsWith("/executors/mod.ts"))!.specifier;
  const seen = new Set<string>();
  const visit = (specifier: string) => {
    if (seen.has(specifier)) return;
    seen.add(specifier);
    for (const { isDynamic, code } of byName.get(specifier)?.dependencies ?? []) {
      if (!isDynamic && code?.specifier !== undefined) visit(code.specifier);
    }
  };
  visit(root);
  const names = [...seen].map((specifier) => specifier.split("/executors/").at(-1)!).sort();
  equal(names.filter((name) => name.includes("/") || name.startsWith("npm:") || name.startsWith("node:")), []);
  ok(names.length < 25, names.join());
  equal(
    modules.filter(({ kind, specifier }) => kind === "npm" || specifier.startsWith("npm:")),
    [],
    "not even the work has a package",
  );
});

Deno.test("importing the list needs no permission and takes little more than Deno itself", async () => {
  const time = async (code: string) => {
    const url = `data:text/typescript,${encodeURIComponent(code)}`;
    const args = ["run", "--no-prompt", "--no-check", url];
    const begun = performance.now();
    const { success, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    ok(success, new TextDecoder().decode(stderr));
    return performance.now() - begun;
  };
  const list = `import { executors } from ${
    JSON.stringify(new URL("../../router/executors/mod.ts", import.meta.url).href)
  }; if (executors.length < 7) Deno.exit(1);`;
  const best = { empty: Infinity, list: Infinity };
  for (let round = 0; round < 4; round++) {
    best.empty = Math.min(best.empty, await time("1;"));
    best.list = Math.min(best.list, await time(list));
  }
  ok(best.list - best.empty < 120, `${(best.list - best.empty).toFixed(0)} ms more than ${best.empty.toFixed(0)} ms`);
});
