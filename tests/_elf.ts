/**
 * Names that an ELF64 shared library exports, read from its dynamic symbol table.
 * @module
 */

/** The defined global and weak symbols of the dynamic symbol table. */
export function exportedSymbols(bytes: Uint8Array<ArrayBuffer>): string[] {
  const view = new DataView(bytes.buffer);
  if (view.getUint32(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) {
    throw new Error("no little-endian ELF64 file");
  }
  const u64 = (at: number) => Number(view.getBigUint64(at, true));
  const tableAt = u64(0x28), entrySize = view.getUint16(0x3a, true), count = view.getUint16(0x3c, true);
  const sections = Array.from({ length: count }, (_, i) => {
    const at = tableAt + i * entrySize;
    return {
      type: view.getUint32(at + 4, true),
      offset: u64(at + 0x18),
      size: u64(at + 0x20),
      link: view.getUint32(at + 0x28, true),
    };
  });
  const dynamicSymbols = sections.find(({ type }) => type === 11);
  if (!dynamicSymbols) throw new Error("no dynamic symbol table");
  const strings = sections[dynamicSymbols.link].offset;
  const names: string[] = [];
  for (let at = dynamicSymbols.offset; at < dynamicSymbols.offset + dynamicSymbols.size; at += 24) {
    const binding = bytes[at + 4] >> 4, section = view.getUint16(at + 6, true);
    if (binding === 0 || section === 0) continue; // local, or used and not defined here
    const start = strings + view.getUint32(at, true);
    names.push(new TextDecoder().decode(bytes.subarray(start, bytes.indexOf(0, start))));
  }
  return names;
}
