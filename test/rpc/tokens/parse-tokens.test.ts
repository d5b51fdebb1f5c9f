import test from "ava";
import { assertTokens, maxTokenLength, maxTokens, parseTokens } from "../../../src/rpc/tokens/parse-tokens.js";
import { assertRefused } from "../../helpers/assert-refused.js";

const first = "0123456789abcdef";
const second = "fedcba9876543210/+=";

test("tokens stand one per line, among blank lines and comments, with any ends of lines", (t) => {
  t.deepEqual(parseTokens(`# old\r\n${first}\r\n\r\n  # new\n\t${second}  \n\n`, "tokens"), [first, second]);
  t.deepEqual(parseTokens(first, "tokens"), [first]);
  const longest = "x".repeat(maxTokenLength);
  t.deepEqual(parseTokens(longest, "tokens"), [longest]);
});

const refusals: readonly (readonly [string, string, RegExp])[] = [
  [
    "a short token",
    `${first}\n# no token\nhunter2hunter2_`,
    /^line 3 of "tokens" has 15 characters; a token has 16 to 1024/,
  ],
  ["a long token", `${first}\n${"x".repeat(maxTokenLength + 1)}`, /^line 2 of "tokens" has 1025 characters;/],
  [
    "two tokens on a line",
    `${first} hunter2hunter2_`,
    /^line 1 of "tokens" has a character at 17 .* one token per line$/,
  ],
  [
    "a token of other letters",
    `hunter2hunter2_é`,
    /^line 1 of "tokens" has a character at 16 that a token cannot have:/,
  ],
  ["nothing", "", /^"tokens" has no token, so that nobody could call; add one/],
  ["comments alone", "\n# hunter2hunter2_\n", /^"tokens" has no token/],
];
for (const [what, text, message] of refusals) {
  test(`${what} is refused, and the message does not repeat it`, async (t) => {
    await assertRefused(
      t,
      () => {
        try {
          parseTokens(text, "tokens");
        } catch (error) {
          t.false(String(error).includes("hunter2"));
          throw error;
        }
      },
      { kind: "invalid-input", reason: "FIELD_INVALID", message },
    );
  });
}

test("so many tokens are allowed, and no more", async (t) => {
  const lines = Array.from({ length: maxTokens }, (_, i) => `${first}${i}`);
  t.is(parseTokens(lines.join("\n"), "tokens").length, maxTokens);
  await assertRefused(t, () => parseTokens([...lines, second].join("\n"), "tokens"), {
    reason: "LIMIT_EXCEEDED",
    message: '"tokens" has 1001 tokens; 1000 are allowed, for every call is compared with each',
  });
});

test("tokens from a program are named by their place", async (t) => {
  await assertRefused(t, () => assertTokens([first, "hunter2"]), {
    reason: "FIELD_INVALID",
    message: /^tokens\[1\] has 7 characters;/,
  });
  await assertRefused(t, () => assertTokens([]), { reason: "FIELD_INVALID", message: /^tokens has no token/ });
});
