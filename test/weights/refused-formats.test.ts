import test from "ava";
import { InvalidInputError } from "../../src/errors/probestream-error.js";
import { assertSafetensorsFormat } from "../../src/weights/refused-formats.js";
import { encodeSafetensors } from "../../src/weights/safetensors-writer.js";

const tar = new Uint8Array(512);
tar.set(new TextEncoder().encode("ustar"), 257);

const refused: readonly (readonly [title: string, start: string | Uint8Array, name: string, message: RegExp])[] = [
  ["a PyTorch archive", "PK\x03\x04\0\0archive/data.pkl", "model.safetensors", /PyTorch archive.*weights_only=True/],
  ["another archive", "PK\x03\x04\0\0weights.npy", "model.npz", /an archive/],
  ["a pickle of protocol 2", "\x80\x02}q\0.", "model", /pickled file.*save_file/],
  ["a pickle of protocol 4", "\x80\x04\x95", "model", /pickled file/],
  ["an old PyTorch file", "\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "model", /pickled file/],
  ["a tar of PyTorch 0.1", tar, "model", /pickled file/],
  ["a pickle by its extension alone", "(dp0\n.", "model.pt", /pickled file/],
  ["a checkpoint by its extension alone", "", "MODEL.CKPT", /pickled file/],
  ["a GGUF file", "GGUF\x03\0\0\0", "model.gguf", /GGUF/],
  ["an HDF5 file", "\x89HDF\r\n\x1a\n", "model.h5", /HDF5/],
  ["a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\n", "model.safetensors", /git lfs pull/],
  ["a web page", "<!doctype html><html>", "model.safetensors", /web page/],
];

for (const [title, start, name, message] of refused) {
  test(`a file is refused: ${title}`, (t) => {
    const prefix = typeof start === "string" ? Buffer.from(start, "latin1") : start;
    const error = t.throws(() => assertSafetensorsFormat(prefix, name), { instanceOf: InvalidInputError, message });
    t.is(error?.reason, "FORMAT_REFUSED");
    t.true(error?.message.includes(name));
  });
}

test("content decides before the name", (t) => {
  const file = encodeSafetensors([{ name: "a", dtype: "U8", shape: [1], bytes: new Uint8Array(1) }]);
  t.notThrows(() => assertSafetensorsFormat(file, "model.bin"));
});

test("a header of 640 bytes is not taken for a pickle, though both start with 0x80 0x02", (t) => {
  const text = { a: { dtype: "U8", shape: [0], data_offsets: [0, 0] } };
  const header = JSON.stringify(text).padEnd(640);
  const file = Buffer.concat([Buffer.from([0x80, 2, 0, 0, 0, 0, 0, 0]), Buffer.from(header)]);
  t.notThrows(() => assertSafetensorsFormat(file, "model.safetensors"));
});
