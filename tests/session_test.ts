/** Promises of going on with a session: what was pinned at its start is compared before anything runs. */
import { deepStrictEqual as equal, rejects } from "node:assert";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { SessionStore } from "../memory/mod.ts";
import { Git } from "../trainer/overnight/git.ts";
import { resumeSession } from "../trainer/overnight/session.ts";
import { Workspace } from "../trainer/overnight/workspace.ts";
import { pinTree } from "../trainer/run/pin.ts";
import { makeDataset } from "./_dataset.ts";

async function git(folder: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("git", {
    args: ["-C", folder, "-c", "user.name=user", "-c", "user.email=user@host", ...args],
    env: { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" },
  }).output();
  if (!success) throw new Error(`git ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}

interface Night {
  checkout: string;
  clone: string;
  library: string;
  dataset: string;
  /** Resumes and closes again. @returns the notices */
  resume(): Promise<string[]>;
}

async function withNight(work: (night: Night) => Promise<void>): Promise<void> {
  const home = await Deno.makeTempDir();
  try {
    const [checkout, dataset, library] = ["checkout", "data", "library.so"].map((name) => join(home, name));
    const folder = join(home, "sessions", "night");
    for (const path of [dataset, folder, join(checkout, "cuda"), join(checkout, "trainer")]) {
      await Deno.mkdir(path, { recursive: true });
    }
    makeDataset(dataset);
    await Deno.writeTextFile(library, "a library");
    for (const file of ["trainer/train.ts", "trainer/nn.ts", "cuda/kernels.h"]) {
      await Deno.writeTextFile(join(checkout, file), `// ${file}\n`);
    }
    await git(checkout, "init", "--quiet", "--initial-branch=main");
    await git(checkout, "add", "-A");
    await git(checkout, "commit", "--quiet", "-m", "first");
    const baseCommit = await git(checkout, "rev-parse", "HEAD");
    const workspace = new Workspace(new Git(join(folder, "gitconfig")), folder, checkout, "researchswarm/night");
    await workspace.clone(baseCommit);
    const manifest = await Deno.readFile(join(dataset, "manifest.json"));
    SessionStore.create(join(folder, "session.db"), {
      tag: "night",
      checkout,
      baseCommit,
      branch: workspace.branch,
      settings: {
        preset: "cpu-tiny",
        agent: "search",
        decide: "greedy",
        seed: 1,
        budgetSeconds: 1,
        device: "cpu",
        threads: 1,
        hours: null,
        experiments: 0,
        source: null,
        data: dataset,
        libraryPath: library,
        dataset,
      },
      pin: {
        tree: await pinTree(workspace.folder, { files: "tracked", libraryPath: library }),
        dataset: createHash("sha256").update(manifest).digest("hex"),
      },
      machine: {},
    }).close();
    const resume = async () => {
      const notices: string[] = [];
      const session = await resumeSession({ home, checkout, tag: "night" }, {}, {
        notice: (line) => notices.push(line),
      });
      session.close();
      return notices;
    };
    await work({ checkout, clone: workspace.folder, library, dataset, resume });
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("a session whose data set was changed, at the same size, is not gone on with", () =>
  withNight(async ({ dataset, resume }) => {
    equal(await resume(), []);
    const bytes = await Deno.readFile(join(dataset, "val.bin"));
    bytes[2] ^= 1;
    await Deno.writeFile(join(dataset, "val.bin"), bytes);
    await rejects(resume(), /^DataError: [^\n]*val\.bin is damaged: its content is not what prepare wrote[^\n]*$/);
    bytes[2] ^= 1;
    await Deno.writeFile(join(dataset, "val.bin"), bytes);
    equal(await resume(), []);
  }));

Deno.test("a session whose clone or library is not what was pinned ends in one sentence before anything runs", () =>
  withNight(async ({ clone, library, resume }) => {
    const refused = /^SessionError: the harness of the session's clone, or the library, is not what was pinned[^\n]*$/;
    await Deno.writeTextFile(library, "another library");
    await rejects(resume(), refused);
    await Deno.writeTextFile(library, "a library");
    await Deno.writeTextFile(join(clone, "trainer", "beside.ts"), "");
    await rejects(resume(), refused);
    await Deno.remove(join(clone, "trainer", "beside.ts"));
    await Deno.writeTextFile(join(clone, "trainer", "nn.ts"), "// scribble");
    await Deno.writeTextFile(join(clone, "trainer", "train.ts"), "// an experiment");
    equal(await resume(), [], "what git knows is restored");
  }));

Deno.test("going on from a checkout with other code says that the session keeps its own", () =>
  withNight(async ({ checkout, resume }) => {
    await Deno.writeTextFile(join(checkout, "trainer", "train.ts"), "// edited");
    equal(await resume(), [], "train.ts is no part of the harness");
    await Deno.writeTextFile(join(checkout, "trainer", "nn.ts"), "// edited");
    equal(await resume(), [
      `the code of ${checkout} is not that of session night, which goes on with its own, pinned code`,
    ]);
  }));
