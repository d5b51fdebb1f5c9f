import test from "ava";
import { cleanDetails } from "../../src/rpc/clean-details.js";

const cases: readonly (readonly [string, string])[] = [
  [
    "No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ",
    "connect ECONNREFUSED 127.0.0.1:1",
  ],
  [
    "No connection established. Last error: connect ECONNREFUSED ::1:1. Resolution note: one of two",
    "connect ECONNREFUSED ::1:1. Resolution note: one of two",
  ],
  [
    "No address added out of total 1 resolved; errors: [listen EADDRINUSE: address already in use]",
    "listen EADDRINUSE: address already in use",
  ],
  ["Name resolution failed for target dns:nohost:1", "Name resolution failed for target dns:nohost:1"],
  ["Connection dropped", "Connection dropped"],
  ["No connection established. Resolution note: ", "no connection"],
];
test("what grpc-js says of a connection is told without its inner workings", (t) => {
  for (const [details, expected] of cases) t.is(cleanDetails(details), expected);
});
