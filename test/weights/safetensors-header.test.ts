import test from "ava";
import fc from "fast-check";
import { InvalidInputError, LimitExceededError, ProbestreamError } from "../../src/errors/probestream-error.js";
import { createMemorySource } from "../../src/weights/memory-source.js";
import { readTensors } from "../../src/weights/safetensors-file.js";
import { parseSafetensorsHeader, readSafetensorsHeader } from "../../src/weights/safetensors-header.js";
import { encodeSafetensors, float32Bytes, type TensorData } from "../../src/weights/safetensors-writer.js";

/** A file of a header text and as many data bytes. */
function toFile(header: string | Uint8Array, dataBytes = 0): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + text.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  return file;
}

function parse(file: Uint8Array) {
  return parseSafetensorsHeader(file, file.length, "m.safetensors");
}

function tensor(fields: string, name = "w"): string {
  return `{"${name}":{${fields}}}`;
}

const good = '"dtype":"F32","shape":[2],"data_offsets":[0,8]';

const malformed: readonly (readonly [title: string, file: Uint8Array, message: RegExp])[] = [
  ["an empty file", new Uint8Array(), /has 0 bytes/],
  ["seven bytes", new Uint8Array(7), /has 7 bytes/],
  ["a header longer than the file", toFile("{}").subarray(0, 9), /ends 1 bytes before its end/],
  ["an empty header", toFile(""), /does not start with "\{"/],
  ["a header that is a list", toFile("[]"), /does not start with "\{"/],
  ["a header that starts with a space", toFile(" {}"), /does not start with "\{"/],
  ["a byte order mark", toFile("\ufeff{}"), /does not start with "\{"/],
  ["text that is not UTF-8", toFile(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), /not UTF-8/],
  ["a header that breaks off", toFile('{"w":'), /breaks off/],
  ["text after the header's end", toFile("{} x"), /goes on after its end/],
  ["a string without an end", toFile('{"w'), /string without an end/],
  ["a string that ends in an escaped quote", toFile('{"w\\"}'), /string without an end/],
  ["a bare line break in a name", toFile('{"a\nb":{}}'), /control character/],
  ["an unknown escape", toFile('{"a\\x":{}}'), /bad escape/],
  ["half a surrogate pair", toFile('{"\\ud800":{}}'), /well-formed Unicode/],
  ["a comma before a brace", toFile('{"w":{},}'), /needs a key/],
  ["a missing colon", toFile('{"w"{}}'), /needs a colon/],
  ["a word that is no JSON", toFile('{"w":nul}'), /no JSON value/],
  ["nesting too deep", toFile(`{"w":${"[".repeat(5000)}${"]".repeat(5000)}}`), /nested deeper than the 8/],
  ["a tensor named twice", toFile(`{"w":{${good}},"w":{${good}}}`, 8), /key "w" twice/],
  ["a name repeated by an escape", toFile(`{"w":{${good}},"\\u0077":{${good}}}`, 8), /key "w" twice/],
  ["a field named twice", toFile(tensor(`${good},"dtype":"F32"`), 8), /key "dtype" twice/],
  ["a tensor that is a number", toFile('{"w":1}'), /not described by a JSON object/],
  ["a tensor without a type", toFile(tensor('"shape":[2],"data_offsets":[0,8]'), 8), /exactly dtype, shape/],
  ["a tensor with a field too many", toFile(tensor(`${good},"x":1`), 8), /exactly dtype, shape/],
  ["a field of another name", toFile(tensor(good.replace("shape", "shap")), 8), /exactly dtype, shape/],
  ["a type that is no text", toFile(tensor(good.replace('"F32"', "32")), 8), /dtype that is no text/],
  ["a shape that is no list", toFile(tensor(good.replace("[2]", "2")), 8), /shape that is no list/],
  ["a negative extent", toFile(tensor(good.replace("[2]", "[-2]")), 8), /no whole number/],
  ["half an extent", toFile(tensor(good.replace("[2]", "[2.5]")), 8), /no whole number/],
  ["an extent beyond 2^53", toFile(tensor(good.replace("[2]", "[9007199254740993]")), 8), /no whole number/],
  ["an extent that is text", toFile(tensor(good.replace("[2]", '["2"]')), 8), /no whole number/],
  ["a product beyond 2^53", toFile(tensor(good.replace("[2]", "[4294967296,4294967296]")), 8), /beyond 2\^53/],
  ["bytes beyond 2^53", toFile(tensor(good.replace("[2]", "[9007199254740991]")), 8), /beyond 2\^53/],
  ["seventeen extents", toFile(tensor(good.replace("[2]", `[${Array(17).fill(1)}]`)), 8), /more than the 16 items/],
  ["one offset", toFile(tensor(good.replace("[0,8]", "[0]")), 8), /not two numbers/],
  ["three offsets", toFile(tensor(good.replace("[0,8]", "[0,8,8]")), 8), /not two numbers/],
  ["offsets that end before they begin", toFile(tensor(good.replace("[0,8]", "[8,0]")), 8), /end before they begin/],
  ["fewer bytes than the shape needs", toFile(tensor(good.replace("[2]", "[3]")), 8), /needs 12/],
  ["half a byte", toFile(tensor('"dtype":"F4","shape":[3],"data_offsets":[0,1]'), 1), /needs 1\.5/],
  ["a gap before the first tensor", toFile(tensor(good.replace("[0,8]", "[4,12]")), 12), /leaves a gap of 4/],
  [
    "tensors that overlap",
    toFile(`{"w":{${good}},"v":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}`, 8),
    /overlaps the one before it by 4/,
  ],
  ["a file cut short", toFile(tensor(good), 5), /so 3 are missing/],
  ["bytes after the last tensor", toFile(tensor(good), 10), /2 bytes after its last tensor/],
  ["metadata that is a list", toFile('{"__metadata__":[]}'), /__metadata__/],
  ["metadata with a number", toFile('{"__metadata__":{"a":1}}'), /"a" that is no text/],
];

for (const [title, file, message] of malformed) {
  test(`a header is refused: ${title}`, (t) => {
    const error = t.throws(() => parse(file), { instanceOf: InvalidInputError, message });
    t.is(error?.reason, "HEADER_MALFORMED");
  });
}

test("a header longer than 100 MB is refused before anything is allocated", (t) => {
  const file = new Uint8Array(16);
  new DataView(file.buffer).setBigUint64(0, 2n ** 64n - 1n, true);
  const error = t.throws(() => parseSafetensorsHeader(file, Number.MAX_SAFE_INTEGER), {
    instanceOf: LimitExceededError,
  });
  t.is(error?.reason, "LIMIT_EXCEEDED");
});

test("a name longer than any real one is refused without repeating it", (t) => {
  const error = t.throws(() => parse(toFile(tensor(good, "w".repeat(5000)), 8)), { instanceOf: LimitExceededError });
  t.true((error?.message.length ?? 0) < 500);
});

test("names that JavaScript objects reserve are names like any other", (t) => {
  const { tensors, metadata } = parse(
    toFile(
      `{"__metadata__":{"__proto__":"x"},"__proto__":{${good}},"constructor":${tensor(good).slice(5, -1).replace("[0,8]", "[8,16]")}}`,
      16,
    ),
  );
  t.deepEqual(
    tensors.map(({ name }) => name),
    ["__proto__", "constructor"],
  );
  t.is(metadata.get("__proto__"), "x");
  t.is(Object.getPrototypeOf({}), Object.prototype);
});

test("tensors come in the order of their bytes, with offsets from the start of the file", (t) => {
  const text = `{"b":{"dtype":"U8","shape":[3],"data_offsets":[4,7]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   `;
  const { tensors, headerBytes } = parse(toFile(text, 7));
  t.is(headerBytes, 8 + text.length);
  t.deepEqual(tensors, [
    { name: "a", dtype: "F32", shape: [], begin: headerBytes, end: headerBytes + 4 },
    { name: "b", dtype: "U8", shape: [3], begin: headerBytes + 4, end: headerBytes + 7 },
  ]);
});

test("types that the format may get are kept by name, their bytes taken as given", (t) => {
  const { tensors } = parse(toFile(tensor('"dtype":"F2_NEW","shape":[8],"data_offsets":[0,2]'), 2));
  t.is(tensors[0]?.dtype, "F2_NEW");
});

test("empty tensors and a file without tensors are valid", (t) => {
  t.is(parse(toFile("{}")).tensors.length, 0);
  const text = `{"a":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]},"w":{${good}},"z":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}`;
  t.is(parse(toFile(text, 8)).tensors.length, 3);
});

test("names in messages cannot move a terminal's cursor", (t) => {
  const error = t.throws(() =>
    parse(toFile(tensor('"dtype":1,"shape":[],"data_offsets":[0,0]', "\\u001b[2J\\u009b\\u202e"))),
  );
  t.regex(error?.message ?? "", /\\u001b\[2J\\u009b\\u202e/);
});

const dtypes = { F32: 4, F16: 2, BF16: 2, F64: 8, U8: 1, I64: 8, F8_E4M3: 1, C64: 8, BOOL: 1 } as const;

const anyTensor = fc
  .record({
    name: fc.string({ unit: "grapheme", maxLength: 12 }),
    dtype: fc.constantFrom(...(Object.keys(dtypes) as (keyof typeof dtypes)[])),
    shape: fc.array(fc.nat(4), { maxLength: 4 }),
    fill: fc.nat(255),
  })
  .map(({ name, dtype, shape, fill }): TensorData => {
    const bytes = new Uint8Array(shape.reduce((a, b) => a * b, 1) * dtypes[dtype]).fill(fill);
    return { name: `t${name}`, dtype, shape, bytes };
  });
const anyTensors = fc.uniqueArray(anyTensor, { selector: ({ name }) => name, maxLength: 8 });
const anyMetadata = fc.dictionary(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }));

test("what is written is read back, whatever names, types and shapes it has", async (t) => {
  await fc.assert(
    fc.asyncProperty(anyTensors, anyMetadata, async (tensors, metadata) => {
      const file = encodeSafetensors(tensors, metadata);
      const read = await readTensors(createMemorySource(file, "m.safetensors"));
      for (const tensor of tensors) t.deepEqual(read.tensors.get(tensor.name), tensor);
      t.is(read.tensors.size, tensors.length);
      t.deepEqual([...read.metadata].sort(), Object.entries(metadata).sort());
      t.deepEqual(encodeSafetensors([...tensors].reverse(), metadata), file);
      for (const { name, begin } of parse(file).tensors) {
        const found = tensors.find((x) => x.name === name);
        t.is(begin % dtypes[(found?.dtype ?? "U8") as keyof typeof dtypes], 0);
      }
    }),
    { numRuns: 200 },
  );
});

test("random bytes and damaged files end in one of our errors or in a valid header", async (t) => {
  const base = encodeSafetensors(
    [
      { name: "a", dtype: "F32", shape: [2, 2], bytes: float32Bytes(Float32Array.of(1, 2, 3, 4)) },
      { name: "b", dtype: "U8", shape: [3], bytes: Uint8Array.of(1, 2, 3) },
    ],
    { k: "v" },
  );
  const damaged = fc
    .tuple(
      fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.nat(base.length),
    )
    .map(([edits, length]) => {
      const file = base.slice();
      for (const [at, value] of edits) file[at] = value;
      return length % 3 === 0 ? file.subarray(0, length) : file;
    });
  const randomText = fc.string().map((text) => toFile(`{${text}`));
  await fc.assert(
    fc.asyncProperty(fc.oneof(damaged, randomText, fc.uint8Array({ maxLength: 64 })), async (file) => {
      try {
        const { tensors } = await readSafetensorsHeader(createMemorySource(file, "m.safetensors"));
        t.true(tensors.every(({ begin, end }) => begin >= 8 && begin <= end && end <= file.length));
      } catch (error) {
        t.true(error instanceof ProbestreamError, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});

test("a file larger than allowed is not loaded whole", async (t) => {
  const file = encodeSafetensors([{ name: "a", dtype: "U8", shape: [100], bytes: new Uint8Array(100) }]);
  const error = await t.throwsAsync(readTensors(createMemorySource(file, "m"), { maxBytes: 64 }), {
    instanceOf: LimitExceededError,
  });
  t.regex(error?.message ?? "", /at most 64/);
});

test("files that could not be read back are not written", (t) => {
  const one = { name: "a", dtype: "U8", shape: [1], bytes: new Uint8Array(1) };
  t.throws(() => encodeSafetensors([one, one]), { instanceOf: InvalidInputError, message: /twice/ });
  t.throws(() => encodeSafetensors([{ ...one, shape: [2] }]), { message: /does not take/ });
  t.throws(() => encodeSafetensors([{ ...one, dtype: "I4" }]), { message: /does not have/ });
  t.throws(() => encodeSafetensors([{ ...one, name: "__metadata__" }]), { message: /rename/ });
  t.throws(() => encodeSafetensors([{ ...one, name: "\ud800" }]), { message: /well-formed/ });
});
