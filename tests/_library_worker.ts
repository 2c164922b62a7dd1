// A Web Worker that uses the library at the same time as the realm that started it.
import { check, handle, KernelError, openLibrary } from "../cuda/lib.ts";

const realm = self as unknown as {
  onmessage: (event: MessageEvent<{ path: string; value: number }>) => void;
  postMessage(answer: string): void;
};
realm.onmessage = ({ data: { path, value } }) => {
  const { symbols: rs } = openLibrary(path);
  const result = new Float32Array(50_000);
  for (let i = 0; i < 1000; i++) {
    const x = handle(rs.rs_tensor_create(0, result.length), "tensor_create");
    check(rs.rs_tensor_fill(x, value), "tensor_fill");
    check(rs.rs_axpby(x, x, 1, i), "axpby");
    check(rs.rs_tensor_download(result, result.byteLength, x, 0), "tensor_download");
    if (!result.every((element) => element === value + i * value)) throw new Error(`round ${i}: ${result[0]}`);
    let text = "";
    try {
      check(rs.rs_tensor_view(x, value, result.length) ? 0 : rs.rs_last_status(), "tensor_view");
    } catch (error) {
      if (error instanceof KernelError) text = error.message;
    }
    if (!text.startsWith(`tensor_view: elements [${value}, `)) {
      throw new Error(`round ${i}: another thread's error: ${text}`);
    }
    check(rs.rs_tensor_destroy(x), "tensor_destroy");
  }
  realm.postMessage(`${value} ok`);
};
