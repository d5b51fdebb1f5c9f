import { parseArgs } from "node:util";
import { exampleFolder, makeExample } from "./example.js";

/** `node make-example.js [--out FOLDER]`: makes the example anew. */
const { values } = parseArgs({ options: { out: { type: "string", default: exampleFolder } } });
const { models, experts } = await makeExample(values.out);
console.log(`${values.out}: ${experts} experts, ${models} models, texts.safetensors`);
