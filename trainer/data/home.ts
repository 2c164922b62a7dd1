/** Where prepared data, built libraries and sessions lie; the same answer for everything that starts processes. */
export { resolveHome } from "../../cuda/home.ts";
