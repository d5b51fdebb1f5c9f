import { setFlagsFromString } from "node:v8";

/** Measures what a server leaves of the cores: it runs last, when they are free. */
const last = "health-latency.test.js";

// Most test files last a second or two, in a thread of their own: V8 is to optimize what has run eight times as long as
// it waits for otherwise (66 kB of bytecode). Without that, a tenth of the time goes into code that is hardly used after.
setFlagsFromString("--interrupt-budget=540672");

export default {
  files: ["dist/test/**/*.test.js"],
  timeout: "120s",
  concurrency: 2,
  sortTestFiles: (a, b) => Number(a.endsWith(last)) - Number(b.endsWith(last)) || (a < b ? -1 : 1),
};
