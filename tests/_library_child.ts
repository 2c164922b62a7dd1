// A process of its own that opens the library whose path is its argument and uses it a little.
import { check, handle, openLibrary } from "../cuda/lib.ts";

const { symbols: rs, description } = openLibrary(Deno.args[0], { threads: 1 });
const x = handle(rs.rs_tensor_create(0, 3), "tensor_create"), data = new Float32Array([1, 2, 3]);
check(rs.rs_tensor_upload(x, 0, data, 12), "tensor_upload");
data.fill(0);
check(rs.rs_tensor_download(data, 12, x, 0), "tensor_download");
console.log(data.length, data.join(), description.replace(/portable |avx\d+ /, ""));
