/**
 * Holds every buffer that crosses to the library against the length that is passed with it. C sees the length alone;
 * code that calls the library with a longer one than its buffer has would read and write foreign memory.
 * @module
 */

/** Parameters and result of a C function, as in `symbols.gen.ts`. */
type Signature = { readonly parameters: readonly string[] };

// Taken once, before any code that is not trusted runs in this realm: it might replace them.
const { apply, getOwnPropertyDescriptor, getPrototypeOf } = Reflect;
const isView = ArrayBuffer.isView;
const typedArray = getPrototypeOf(Uint8Array.prototype)!;
const byteLengthOf = getOwnPropertyDescriptor(typedArray, "byteLength")!.get!;
const bufferOf = getOwnPropertyDescriptor(typedArray, "buffer")!.get!;
// Throws for a SharedArrayBuffer, which another realm could change or shrink during the call.
const ownLengthOf = getOwnPropertyDescriptor(ArrayBuffer.prototype, "byteLength")!.get!;

/** Bytes that a typed array really has. @throws TypeError for anything else, and for shared memory */
function bytesOf(value: unknown): number {
  if (!isView(value)) throw new TypeError("not a typed array");
  apply(ownLengthOf, apply(bufferOf, value, []), []);
  return apply(byteLengthOf, value, []);
}

function guard(name: string, call: (...values: never[]) => unknown, parameters: readonly string[]) {
  const places: number[] = [];
  for (let i = 0; i < parameters.length; i++) if (parameters[i] === "buffer") places[places.length] = i;
  if (places.length === 0) return call;
  return (...values: unknown[]) => {
    for (let i = 0; i < places.length; i++) {
      // Not destructured: that would ask Array.prototype, which may have been replaced.
      const buffer = values[places[i]];
      const bytes = values[places[i] + 1];
      let has = -1;
      try {
        has = bytesOf(buffer);
      } catch {
        throw new TypeError(`${name}: argument ${places[i] + 1} must be a typed array over memory of its own`);
      }
      if (typeof bytes !== "number" || !(bytes <= has)) {
        throw new RangeError(`${name}: a buffer of ${has} bytes was passed as one of ${bytes}`);
      }
    }
    return apply(call, undefined, values);
  };
}

/**
 * The same functions, frozen, each refusing a buffer that is shorter than the length beside it. `signatures` names for
 * every "buffer" parameter its length as the next one.
 */
export function guardBuffers<S extends object>(calls: S, signatures: Readonly<Record<string, Signature>>): S {
  const guarded: Record<string, unknown> = {};
  for (const [name, { parameters }] of Object.entries(signatures)) {
    guarded[name] = guard(name, (calls as Record<string, never>)[name], parameters);
  }
  return Object.freeze(guarded) as S;
}
