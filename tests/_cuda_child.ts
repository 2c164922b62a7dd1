/**
 * A process that opens a library and does what its second argument says: for what may only happen in a process that is
 * thrown away afterwards, and for environments of its own. Prints what the library said.
 */
import { check, handle, openLibrary } from "../cuda/lib.ts";

const [path, what] = Deno.args;
try {
  const { symbols: rs, description } = openLibrary(path);
  if (what === "describe") console.log(description);
  if (what === "fault") {
    const x = handle(rs.rs_tensor_create(0, 4), "tensor_create");
    check(rs.rs_tensor_fill(x, 1), "tensor_fill");
    check(rs.rs_runtime_inject_fault(), "inject_fault");
    try {
      check(rs.rs_tensor_fill(x, 2), "tensor_fill");
      check(rs.rs_sync(), "sync");
      console.log("nothing was noticed");
    } catch (error) {
      console.log((error as Error).message);
    }
    // What is left must be able to end.
    rs.rs_tensor_destroy(x);
    rs.rs_memory_trim();
  }
} catch (error) {
  console.log((error as Error).message);
}
