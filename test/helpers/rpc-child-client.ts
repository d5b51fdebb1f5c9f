import { Dtype } from "../../src/gen/probestream/v1/types_pb.js";
import { encodeChunk } from "../../src/rpc/encode-chunk.js";
import { openRawClient } from "./rpc-client.js";
import { toFooter, toHeader } from "./rpc-messages.js";

// Run as a program: node rpc-child-client.js TARGET ROWS COLUMNS UPLOAD-ID STOP-AFTER. Uploads a layer of ones, says
// "sent" after STOP-AFTER bytes and waits to be killed. With STOP-AFTER 0 it uploads one layer after another, at full
// speed, and says "sent" after the first MiB.
const [target = "", rows = "0", columns = "0", uploadId = "", stopAfter = "0"] = process.argv.slice(2);
const client = openRawClient(target);
const shape = [BigInt(rows), BigInt(columns)];
const total = Number(rows) * Number(columns) * 4;
const stop = Number(stopAfter);
const chunkBytes = 1024 * 1024 - 4096;
const chunk = new Uint8Array(new Float32Array(chunkBytes / 4).fill(1e-3).buffer);
let hasTold = false;

const tell = (): void => {
  if (!hasTold) process.stdout.write("sent\n");
  hasTold = true;
};

for (;;) {
  const planned = await client.planOne({ uploadId, tensors: [{ name: "large.weight", dtype: Dtype.F32, shape }] });
  const upload = client.openUpload({ deadlineMs: 600_000 });
  await upload.write(toHeader(planned));
  for (let at = 0; at < total; at += chunkBytes) {
    if (stop > 0 && at >= stop) {
      tell();
      await new Promise((resolve) => setTimeout(resolve, 600_000));
    }
    await upload.write(encodeChunk(0, at, chunk.subarray(0, Math.min(chunkBytes, total - at))));
    if (stop === 0 && at > 0) tell();
  }
  await upload.write(toFooter(total));
  upload.end();
  const { response, failure } = await upload.answer;
  const outcome = response?.results[0]?.outcome;
  if (outcome?.case !== "embedding") throw new Error(failure?.message ?? outcome?.value?.message);
}
