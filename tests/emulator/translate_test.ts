// What the emulated GPU runs must be what the sources say: PTX by its operands, shared memory by its declarations.
import assert from "node:assert/strict";
import { translate } from "./translate.ts";

Deno.test("inline PTX becomes a call with the operands that it numbers, and comments stay", () => {
  const source = `
void wait(uint64_t* bar, uint32_t parity) {
  uint32_t done;
  asm volatile(
      "{\\n.reg .pred p;\\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\\nselp.u32 %0, 1, 0, p;\\n}"
      : "=r"(done)
      : "r"(shared_address(bar)), "r"(parity)  // of the phase
      : "memory");
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y[1]) : "f"(x)); // asm("") is not read here
}`;
  assert.equal(
    translate(source, "gpu/a.h", 1),
    `
void wait(uint64_t* bar, uint32_t parity) {
  uint32_t done;
  emulator::mbarrier_wait((shared_address(bar)), parity), done = 1;
  y[1] = exp2f(x); // asm("") is not read here
}`,
  );
});

Deno.test("PTX that the emulated GPU does not know is refused by its text", () => {
  assert.throws(
    () => translate('asm volatile("elect.sync _|p, %0;" :: "r"(mask));', "gpu/a.cu", 1),
    /does not know this PTX: elect\.sync _\|p, %0;/,
  );
});

Deno.test("variables in shared memory get places of a block, each its own", () => {
  const source = "extern __shared__ __align__(16) float all[];\n__shared__ double sums[32][33], last;";
  assert.equal(
    translate(source, "gpu/b.cu", 2),
    "float* all = static_cast<float*>(emulator::dynamic_shared());\n" +
      "typedef double sums_2001[32][33]; auto& sums = emulator::static_shared<sums_2001, 2001>(); " +
      "typedef double last_2002; auto& last = emulator::static_shared<last_2002, 2002>();",
  );
});
