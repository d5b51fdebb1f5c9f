/** Measures what a server leaves of the cores: it runs last, when they are free. */
const last = "health-latency.test.js";

export default {
  files: ["dist/test/**/*.test.js"],
  timeout: "120s",
  concurrency: 2,
  sortTestFiles: (a, b) => Number(a.endsWith(last)) - Number(b.endsWith(last)) || (a < b ? -1 : 1),
};
