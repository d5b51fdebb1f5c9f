import test from "ava";
import { parseExpertManifest } from "../../src/experts/expert-manifest.js";
import { assertRefused } from "../helpers/assert-refused.js";
import { encoderDigest } from "../helpers/expert-folder.js";

const encoder = encoderDigest("encoder");
const layer = { module: "m.fc", kind: "dense" };
const manifest = {
  format: "probestream-expert/1",
  objective: "zeroshot",
  weights: "expert.safetensors",
  layer,
  shape: [6, 4],
};

test("a manifest gives what it says and defaults for the rest", (t) => {
  t.deepEqual(parseExpertManifest(JSON.stringify(manifest), "x"), {
    objective: "zeroshot",
    weights: "expert.safetensors",
    layer: { module: "m.fc", kind: "dense", layout: "linear", loraScale: "none", shape: { rows: 6, columns: 4 } },
    labels: [],
    extra: {},
  });
});

test("a manifest with every key is read, and unknown keys are kept", (t) => {
  const full = {
    ...manifest,
    objective: "classification",
    layer: { module: "m.qkv", kind: "lora", layout: "linear", loraScale: "apply", rows: [6, 12], note: "ignored" },
    labels: ["cat", "dog"],
    text: { encoder, prompt: "a photo of a {}" },
    tree: { root: "x" },
    provenance: [1, 2],
  };
  t.deepEqual(parseExpertManifest(JSON.stringify(full), "x"), {
    objective: "classification",
    weights: "expert.safetensors",
    layer: {
      module: "m.qkv",
      kind: "lora",
      layout: "linear",
      loraScale: "apply",
      rows: { begin: 6, end: 12 },
      shape: { rows: 6, columns: 4 },
    },
    labels: ["cat", "dog"],
    text: { encoder, prompt: "a photo of a {}" },
    extra: { tree: { root: "x" }, provenance: [1, 2] },
  });
});

test("a text encoder without a prompt takes labels as they are", (t) => {
  const { text } = parseExpertManifest(JSON.stringify({ ...manifest, text: { encoder } }), "x");
  t.deepEqual(text, { encoder, prompt: "{}" });
});

const objectives = '"zeroshot" or "classification"';
const pair = (least: number): string => `two whole numbers, from ${least} and 1`;
const malformed: readonly (readonly [key: string, change: Record<string, unknown>, found: string, allowed: string])[] =
  [
    ["layer.layout", { layer: { ...layer, kind: "lora", layout: "conv" } }, '"conv"', '"linear" for a LoRA layer'],
    ["shape", { layer: { ...layer, layout: "vector" } }, "[6,4]", "[n, 1] for a vector layer"],
    ["format", { format: undefined }, "absent", '"probestream-expert/1"'],
    ["format", { format: "probestream-expert/2" }, '"probestream-expert/2"', '"probestream-expert/1"'],
    ["objective", { objective: undefined }, "absent", objectives],
    ["objective", { objective: "zero-shot" }, '"zero-shot"', objectives],
    ["objective", { objective: ["zeroshot"] }, '["zeroshot"]', objectives],
    ["weights", { weights: undefined }, "absent", "a non-empty text"],
    ["weights", { weights: "" }, '""', "a non-empty text"],
    ["weights", { weights: "../expert.safetensors" }, '"../expert.safetensors"', "a file name in the folder"],
    ["weights", { weights: "/etc/passwd" }, '"/etc/passwd"', "a file name in the folder"],
    ["weights", { weights: "a\\b" }, '"a\\\\b"', "a file name in the folder"],
    ["weights", { weights: ".." }, '".."', "a file name in the folder"],
    ["layer", { layer: undefined }, "absent", "an object"],
    ["layer", { layer: [] }, "[]", "an object"],
    ["layer", { layer: null }, "null", "an object"],
    ["layer.module", { layer: { kind: "dense" } }, "absent", "a non-empty text"],
    ["layer.kind", { layer: { module: "m" } }, "absent", '"dense" or "lora"'],
    ["layer.kind", { layer: { module: "m", kind: "Dense" } }, '"Dense"', '"dense" or "lora"'],
    [
      "layer.layout",
      { layer: { ...layer, layout: "rows" } },
      '"rows"',
      '"linear" or "transposed" or "conv" or "vector"',
    ],
    ["layer.loraScale", { layer: { ...layer, loraScale: true } }, "true", '"none" or "apply"'],
    ["layer.rows", { layer: { ...layer, rows: [0, 5] } }, "[0,5]", 'a range of 6 rows, as "shape" says'],
    ["layer.rows", { layer: { ...layer, rows: [6, 0] } }, "[6,0]", pair(0)],
    ["layer.rows", { layer: { ...layer, rows: [-1, 5] } }, "[-1,5]", pair(0)],
    ["layer.rows", { layer: { ...layer, rows: 6 } }, "6", pair(0)],
    ["shape", { shape: undefined }, "absent", pair(1)],
    ["shape", { shape: [6] }, "[6]", pair(1)],
    ["shape", { shape: [6, 4, 1] }, "[6,4,1]", pair(1)],
    ["shape", { shape: [0, 4] }, "[0,4]", pair(1)],
    ["shape", { shape: [6, 4.5] }, "[6,4.5]", pair(1)],
    ["shape", { shape: ["6", 4] }, '["6",4]', pair(1)],
    ["shape", { shape: [6, 2 ** 60] }, "[6,1152921504606847000]", pair(1)],
    ["labels", { labels: "cat" }, '"cat"', "a list of names"],
    ["labels", { labels: null }, "null", "a list of names"],
    ["labels[1]", { labels: ["cat", ""] }, '""', "a non-empty text"],
    ["labels[0]", { labels: [3] }, "3", "a non-empty text"],
    ["text", { text: "clip" }, '"clip"', "an object"],
    ["text.encoder", { text: {} }, "absent", "a non-empty text"],
    ["text.encoder", { text: { encoder: "abc" } }, '"abc"', "a SHA-256 in lower-case hexadecimal"],
    ["text.prompt", { text: { encoder, prompt: 3 } }, "3", "a non-empty text"],
  ];
for (const [key, change, found, allowed] of malformed) {
  test(`a manifest whose ${key} is ${found} is refused with the key and what it must be`, async (t) => {
    await assertRefused(t, () => parseExpertManifest(JSON.stringify({ ...manifest, ...change }), "e/expert.json"), {
      kind: "invalid-input",
      reason: "HEADER_MALFORMED",
      message: `e/expert.json: ${key} is ${found}; it must be ${allowed}`,
      facts: { key },
    });
  });
}

for (const text of ["", "{", "nonsense", '{"format": "probestream-expert/1",}']) {
  test(`a manifest that reads ${JSON.stringify(text)} is no JSON`, async (t) => {
    const message = /^e\/expert\.json is not JSON: SyntaxError/;
    await assertRefused(t, () => parseExpertManifest(text, "e/expert.json"), { reason: "HEADER_MALFORMED", message });
  });
}

for (const text of ["[]", "null", "3", '"text"']) {
  test(`a manifest that is ${text} is no object`, async (t) => {
    await assertRefused(t, () => parseExpertManifest(text, "e/expert.json"), {
      reason: "HEADER_MALFORMED",
      message: `e/expert.json: the file is ${text}; it must be an object`,
    });
  });
}

test("a long wrong value is shown cut off", async (t) => {
  const text = JSON.stringify({ ...manifest, objective: "x".repeat(500) });
  await assertRefused(t, () => parseExpertManifest(text, "e"), {
    reason: "HEADER_MALFORMED",
    message: `e: objective is "${"x".repeat(79)}; it must be ${objectives}`,
  });
});
