/**
 * Finds, opens and checks the kernel library. Nothing above this file knows which build (cpu, cuda) answers.
 *
 * ```ts ignore
 * const { symbols } = openLibrary(path);
 * const x = handle(symbols.rs_tensor_create(0, 10), "tensor_create");
 * check(symbols.rs_tensor_fill(x, 1), "tensor_fill");
 * ```
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { guardBuffers } from "./buffers.ts";
import { abiHash, symbols } from "./symbols.gen.ts";

/** A call of the library failed: which op, the status (`RS_INVALID` … of kernels.h) and the library's own words. */
export class KernelError extends Error {
  /** Name of the class, as errors print it. */
  override name = "KernelError";
  /** Status of kernels.h; 0 where the library could not be opened at all. */
  readonly code: number;
  /** The op without `rs_`, such as `rms_norm_forward`. */
  readonly op: string;
  /**
   * Creates one.
   * @param message what went wrong
   * @param code rs_status
   * @param op name of the op
   */
  constructor(message: string, code: number, op: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.op = op;
  }
}

/** The functions of kernels.h; those that take buffers refuse a length that the buffer does not have. */
export type LibrarySymbols = Deno.StaticForeignLibraryInterface<typeof symbols>;

/** The devices a library is built for. */
export type Device = "cpu" | "cuda";

/** An open library. */
export interface Library {
  /** The shared library that was opened. */
  readonly path: string;
  /** Which build it is. */
  readonly device: Device;
  /** Such as `cpu avx2 2 threads`. */
  readonly description: string;
  /** The functions of `kernels.h`. */
  readonly symbols: LibrarySymbols;
  /** Makes it no longer the current one. Its memory and threads stay until the process ends. */
  close(): void;
}

/** How to open a library for the first time in a process. */
export interface OpenOptions {
  /** CPU threads; all cores when absent or 0. */
  threads?: number;
  /** Index of the GPU; ignored by the CPU build. */
  device?: number;
  /** Plans of products, see `plans.ts`; loaded where they are not empty, also into a library that is open already. */
  plans?: string;
}

const textCapacity = 1024;
const open = new Map<string, Library>();
let current: Library | null = null;

function readText(fill: (buffer: Uint8Array<ArrayBuffer>, capacity: number) => number): string {
  const buffer = new Uint8Array(textCapacity);
  return new TextDecoder().decode(buffer.subarray(0, fill(buffer, textCapacity)));
}

/**
 * Opens a built library and makes it the current one. A path that is open already is returned as it is, with the
 * options of the first time; so does a Web Worker of a process that has opened it.
 * @throws KernelError when the file is missing, is no library, was built from another kernels.h, or no device answers.
 */
export function openLibrary(path: string, options: OpenOptions = {}): Library {
  const known = open.get(path);
  if (known) {
    current = known;
    if (options.plans) loadPlans(known, options.plans);
    return known;
  }
  let opened: Deno.DynamicLibrary<typeof symbols>;
  try {
    opened = Deno.dlopen(path, symbols);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) {
      throw new KernelError(`the library needs the permission --allow-ffi=${path}`, 0, "open", { cause });
    }
    // A symbol that is missing and a file that is none both end here.
    const reason = cause instanceof Error ? cause.message : String(cause);
    // `deno task build` builds what is absent and looks no further.
    const remedy = /No such file/.test(reason) ? "run `deno task build`" : "remove it and run `deno task build`";
    throw new KernelError(`${path} can't be opened (${reason}): ${remedy}`, 0, "open", { cause });
  }
  const library = guardBuffers(opened.symbols, symbols);
  const hash = library.rs_abi_hash();
  if (hash !== abiHash) {
    const [has, wants] = [hash, abiHash].map((value) => value.toString(16).padStart(8, "0"));
    throw new KernelError(
      `${path} was built from another kernels.h (${has}, not ${wants}): run \`deno task build\``,
      0,
      "open",
    );
  }
  const describe = () => readText((buffer, capacity) => library.rs_runtime_describe(buffer, capacity));
  if (describe() === "") {
    const status = library.rs_runtime_init(options.device ?? 0, options.threads ?? 0);
    const reason = readText((buffer, capacity) => library.rs_last_error(buffer, capacity));
    // Another realm of this process may have been first.
    if (status !== 0 && describe() === "") throw new KernelError(reason, status, "runtime_init");
  }
  const description = describe();
  const made: Library = {
    path,
    device: description.startsWith("cuda") ? "cuda" : "cpu",
    description,
    symbols: library,
    close() {
      open.delete(path);
      if (current === made) current = null;
    },
  };
  open.set(path, made);
  current = made;
  if (options.plans) loadPlans(made, options.plans);
  return made;
}

/**
 * Hands plans (`plans.ts`) to a library, before its first product.
 * @throws KernelError when they were made for another device or version
 */
export function loadPlans(library: Library, text: string): void {
  const bytes = new TextEncoder().encode(text);
  check(library.symbols.rs_plans_load(bytes, bytes.length), "plans_load");
}

/**
 * The library that was opened last.
 * @throws KernelError when none is open.
 */
export function library(): Library {
  if (!current) throw new KernelError("no library is open: call openLibrary first", 0, "open");
  return current;
}

function fail(status: number, op: string): never {
  const text = readText((buffer, capacity) => library().symbols.rs_last_error(buffer, capacity));
  throw new KernelError(text || `${op}: failed with status ${status}`, status, op);
}

/**
 * Passes a status on as an exception.
 * @throws KernelError with the library's text unless the status is 0.
 */
export function check(status: number, op: string): void {
  if (status !== 0) fail(status, op);
}

/**
 * For functions that return a handle: 0 becomes an exception.
 * @returns the handle
 * @throws KernelError with the library's text when it is 0; its code is that of the failure.
 */
export function handle(value: number, op: string): number {
  if (value === 0) fail(library().symbols.rs_last_status(), op);
  return value;
}

/** File name of a device's library. */
export function libraryFile(device: Device): string {
  return `libresearchswarm_${device}.${Deno.build.os === "darwin" ? "dylib" : "so"}`;
}

/**
 * The folder with the library's sources.
 * @throws Error where this module was not loaded from a clone of the repository.
 */
export function sourceFolder(): string {
  const folder = import.meta.dirname;
  if (!folder) {
    throw new Error("the library's sources are not in the package: clone the repository and run `deno task build`");
  }
  return folder;
}

/** The sources that a device's library is built from, relative to `sourceFolder()`, sorted. */
export async function librarySources(device: Device = "cpu"): Promise<string[]> {
  const folders = ["", "cpu", "tokenizer", ...(device === "cuda" ? ["gpu", "gpu/hopper"] : [])];
  const found: string[] = [];
  for (const folder of folders) {
    for await (const { name, isFile } of Deno.readDir(join(sourceFolder(), folder))) {
      if (isFile && /\.(cpp|h|cu|map)$|^CMakeLists\.txt$/.test(name)) found.push(join(folder, name));
    }
  }
  return found.sort();
}

/** Hash of everything that decides what is built: the sources, the system, the architecture. 16 hexadecimal digits. */
export async function libraryHash(device: Device = "cpu"): Promise<string> {
  const hash = createHash("sha256").update(`${device} ${Deno.build.os} ${Deno.build.arch}\n`);
  for (const path of await librarySources(device)) {
    const bytes = await Deno.readFile(join(sourceFolder(), path));
    hash.update(`${path} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest("hex").slice(0, 16);
}

/** Where the library of these sources belongs in a home folder. */
export async function libraryPath(home: string, device: Device = "cpu"): Promise<string> {
  return join(home, "lib", await libraryHash(device), libraryFile(device));
}

/** The library of these sources when it is built, else null. */
export async function findLibrary(home: string, device: Device = "cpu"): Promise<string | null> {
  const path = await libraryPath(home, device);
  try {
    return (await Deno.stat(path)).isFile ? path : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
