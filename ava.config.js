export default {
  files: ["dist/test/**/*.test.js"],
  timeout: "120s",
  // Two test files at a time: each may start servers with worker threads of their own.
  concurrency: 2,
};
