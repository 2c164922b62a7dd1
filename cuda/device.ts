/**
 * Which build of the library a command uses, and on which device: `--device`, else `RESEARCHSWARM_DEVICE`, else CUDA
 * where a GPU answers and the CPU otherwise. Decided once, by what starts the processes; they get it as arguments.
 * Also `deno task device`, which builds what is needed, opens it and prints the decision as one line of JSON.
 * @module
 */
import { parseArgs } from "node:util";
import { type BuildOptions, ensureLibrary } from "./build.ts";
import { resolveHome } from "./home.ts";
import { type Device, findLibrary, type Library, openLibrary } from "./lib.ts";
import { plansPath, readPlans } from "./plans.ts";

/** What a user may ask for. */
export interface DeviceWish {
  /** `auto`: CUDA where a GPU answers. */
  readonly device: Device | "auto";
  /** The GPU's index. */
  readonly index: number;
}

/** What came of it. */
export interface DeviceChoice {
  /** The library to open. */
  readonly libraryPath: string;
  /** Its build. */
  readonly device: Device;
  /** The GPU's index; 0 on the CPU. */
  readonly index: number;
  /** Such as `cuda 0 NVIDIA H100 80GB HBM3 sm_90`. */
  readonly description: string;
  /** Why it is not CUDA, where nobody asked for the CPU; else "". */
  readonly reason: string;
  /** Where the measured plans of this device and library lie, whether or not they were made; "" on the CPU. */
  readonly plansPath: string;
}

/**
 * Reads `auto`, `cpu`, `cuda` or `cuda:N`.
 * @throws Error with one sentence
 */
export function parseDevice(text: string): DeviceWish {
  const match = /^(auto|cpu|cuda)(?::(\d{1,3}))?$/.exec(text);
  if (match === null || (match[2] !== undefined && match[1] !== "cuda")) {
    throw new Error(`the device must be auto, cpu, cuda or cuda:N, got "${text}"`);
  }
  return { device: match[1] as DeviceWish["device"], index: Number(match[2] ?? 0) };
}

/**
 * The device that a command line and the environment ask for.
 * @param flag value of `--device`, where it was given
 * @throws Error with one sentence when it cannot be read
 */
export function wishedDevice(flag?: string): DeviceWish {
  if (flag !== undefined) return parseDevice(flag);
  const named = Deno.permissions.querySync({ name: "env", variable: "RESEARCHSWARM_DEVICE" }).state === "granted"
    ? Deno.env.get("RESEARCHSWARM_DEVICE")
    : undefined;
  try {
    return parseDevice(named || "auto");
  } catch (cause) {
    throw new Error(`RESEARCHSWARM_DEVICE: ${(cause as Error).message}`, { cause });
  }
}

/** Why there can be no GPU here, or "": asked before minutes are spent on building for it. */
async function whyNoDriver(): Promise<string> {
  try {
    const tool = new Deno.Command("nvidia-smi", { args: ["-L"], stdin: "null", stdout: "piped", stderr: "null" });
    const { success, stdout } = await tool.output();
    return success && stdout.length > 0 ? "" : "the NVIDIA driver answers with no GPU";
  } catch (error) {
    return error instanceof Deno.errors.NotCapable
      ? "looking for a GPU needs the permission --allow-run=nvidia-smi"
      : NO_DRIVER;
  }
}

const choiceOf = (library: Library, index: number, home: string, reason = ""): DeviceChoice => ({
  libraryPath: library.path,
  device: library.device,
  index,
  description: library.description,
  reason,
  plansPath: library.device === "cuda" ? plansPath(home, library) : "",
});

/**
 * Builds what is needed, opens it in this process and says what it is.
 * @throws BuildError or KernelError, in one sentence, when the device that was asked for by name cannot be used
 */
export async function chooseDevice(
  home: string,
  wish: DeviceWish,
  options: Pick<BuildOptions, "onProgress"> & { threads?: number } = {},
): Promise<DeviceChoice> {
  const { threads } = options;
  let reason = "";
  if (wish.device !== "cpu") {
    try {
      // A library that is there knows best, and needs no compiler.
      let path = await findLibrary(home, "cuda");
      if (path === null && wish.device === "auto") reason = await whyNoDriver();
      if (reason === "") {
        path ??= await ensureLibrary(home, { ...options, device: "cuda" });
        return choiceOf(openLibrary(path, { threads, device: wish.index }), wish.index, home);
      }
    } catch (error) {
      if (wish.device === "cuda") throw error;
      reason = (error as Error).message.replace(/^runtime_init: /, "");
    }
  }
  const path = await ensureLibrary(home, { ...options, device: "cpu" });
  return choiceOf(openLibrary(path, { threads }), 0, home, reason);
}

const NO_DRIVER = "no NVIDIA driver was found";

/** One line for a person: what computes, and why it is not a GPU. */
export function showChoice({ description, reason }: Pick<DeviceChoice, "description" | "reason">): string {
  return `device: ${description}${reason === "" ? "" : ` (not CUDA: ${reason})`}`;
}

/** Says on stderr what computes, where that is no matter of course: the CPU of a machine without a GPU is. */
export function announceChoice(choice: Pick<DeviceChoice, "device" | "description" | "reason">): void {
  if (choice.device === "cuda" || !["", NO_DRIVER].includes(choice.reason)) console.error(showChoice(choice));
}

/**
 * Chooses as `chooseDevice` does, loads the plans of the device, and says on stderr what computes where it matters.
 * @returns the library, open and current
 */
export async function openDevice(flag: string | undefined, threads?: number): Promise<Library> {
  const choice = await chooseDevice(resolveHome(), wishedDevice(flag), { threads });
  announceChoice(choice);
  try {
    return openLibrary(choice.libraryPath, { plans: readPlans(choice.plansPath) });
  } catch (cause) {
    // Damaged, or of a cuBLASLt from before an update.
    const message = `${choice.plansPath}: ${(cause as Error).message}: run \`deno task tune\``;
    throw new Error(message, { cause });
  }
}

const usage = `Says which build of the library and which device would be used, as JSON; builds what is absent.

usage: deno task device [--device auto|cpu|cuda|cuda:N]`;

if (import.meta.main) {
  try {
    const { values } = parseArgs({
      args: Deno.args,
      options: { device: { type: "string" }, help: { type: "boolean", short: "h" } },
    });
    if (values.help) console.log(usage);
    else console.log(JSON.stringify(await chooseDevice(resolveHome(), wishedDevice(values.device))));
  } catch (error) {
    console.error((error as Error).message);
    Deno.exit(1);
  }
}
