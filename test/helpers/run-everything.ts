/**
 * Whether tests that take a minute of a core run in full, as `.ci/run` has them: `PROBESTREAM_TESTS=all npm test`. By itself
 * `npm test` runs each of them with fewer cases.
 */
export const runEverything: boolean = process.env["PROBESTREAM_TESTS"] === "all";
