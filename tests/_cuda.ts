/**
 * The CUDA library for tests: built and opened where a GPU answers. Elsewhere most tests run the same sources on an
 * emulated GPU (emulator/), if the CUDA toolkit's headers are there; the others say once why they are skipped.
 * @module
 */
import { chooseDevice, parseDevice } from "../cuda/device.ts";
import { resolveHome } from "../cuda/home.ts";
import { check, type Library, openLibrary } from "../cuda/lib.ts";
import { emulatedLibrary } from "./emulator/build.ts";

const choice = await chooseDevice(resolveHome(), parseDevice("auto"), { onProgress: () => {} });

// Sources that do not compile are no reason to skip their tests.
if (choice.reason.startsWith("the library could not be built")) throw new Error(choice.reason);

const gpu = choice.device === "cuda", substitute = gpu ? null : await emulatedLibrary(resolveHome());
/** Whether the GPU is an emulated one: a thousand times slower. */
export const emulated: boolean = substitute !== null;
if (!gpu) {
  const rest = emulated
    ? "an emulated one takes its place where it can"
    : "so are those of an emulated one: no CUDA toolkit, or not Linux on x86-64";
  console.log(`no CUDA: ${choice.reason}: tests that need a GPU are skipped, ${rest}`);
}

/** Where the library lies. */
export const cudaLibraryPath: string = substitute ?? choice.libraryPath;

/** The library, opened and current, with guard words behind every buffer. */
export function cudaLibrary(): Library {
  const library = openLibrary(cudaLibraryPath);
  check(library.symbols.rs_memory_set_guards(1), "memory_set_guards");
  return library;
}

/** A test of the CUDA build, on a GPU or an emulated one. */
export function cudaTest(name: string, fn: () => void | Promise<void>): void {
  Deno.test({ name: `CUDA: ${name}`, ignore: !gpu && !emulated, fn });
}

/** A test that needs a GPU itself. */
export function gpuTest(name: string, fn: () => void | Promise<void>): void {
  Deno.test({ name: `CUDA: ${name}`, ignore: !gpu, fn });
}

/** Numbers rounded to bfloat16 (to nearest, ties to even), as its bits. */
export function toBf16(values: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(Float32Array.from(values).buffer);
  return Uint16Array.from(bits, (word) => {
    if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40;
    return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  });
}

/** bfloat16 bits as numbers. */
export function fromBf16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint32Array.from(bits, (half) => half << 16).buffer);
}
