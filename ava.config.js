export default {
  files: ["dist/test/**/*.test.js"],
  timeout: "120s",
  // One test file at a time: health-latency measures what a server leaves of the cores, and must find them free.
  concurrency: 1,
};
