import { stat } from "node:fs/promises";
import { NotFoundError } from "../errors/probestream-error.js";
import { encoderFiles, weightsSuffix } from "../text/encoder-files.js";
import { downloadModelFiles, type HubProgress } from "../weights/hub/download-model-files.js";
import { isHubModel, parseHubModel } from "../weights/hub/hub-model.js";
import type { WantedFiles } from "../weights/hub/wanted-files.js";
import type { CommandContext } from "./command-context.js";
import { formatBytes } from "./size.js";

/** Files of a text encoder among those of a model of the Hub. */
const encoderHubFiles: WantedFiles = {
  required: [{ anyOf: [encoderFiles.tokenizer] }, { anyOf: encoderFiles.models, sidecarSuffix: weightsSuffix }],
  optional: [
    encoderFiles.tokenizerConfig,
    encoderFiles.modelConfig,
    encoderFiles.modules,
    encoderFiles.pooling,
    encoderFiles.sentenceConfig,
  ],
  remedy:
    "choose a model that has it, or export this one (`optimum-cli export onnx --model ID FOLDER`) and give the folder",
};

/**
 * Finds the folder of a text encoder: one of this machine, or the files of a model of the Hugging Face Hub in its cache,
 * fetched if they are not there. It shows how far that is.
 *
 * @param place a folder, or `OWNER/NAME` or `OWNER/NAME@REVISION`.
 * @throws NotFoundError `FILE_NOT_FOUND` for what is neither; what {@link downloadModelFiles} throws.
 */
export async function findEncoderFolder(
  place: string,
  {
    terminal,
    environment: { hub, hubToken: token },
    signal,
  }: Pick<CommandContext, "terminal" | "environment" | "signal">,
): Promise<string> {
  if (await isFolder(place)) return place;
  if (!isHubModel(place)) {
    const message = `There is no folder "${place}"; a text encoder is a folder with an ONNX model and ${encoderFiles.tokenizer}, or a model of the Hugging Face Hub by its id, such as Xenova/clip-vit-base-patch32`;
    throw new NotFoundError("FILE_NOT_FOUND", message, { path: place });
  }
  let isTold = false;
  const onProgress = (progress: HubProgress): void => {
    const total = formatBytes(progress.bytesTotal);
    if (terminal.hasStatus) {
      terminal.showStatus(`${place}: ${formatBytes(progress.bytesDone)} of ${total}  ${progress.file}`);
    } else if (!isTold) {
      terminal.remark(`fetching ${place}, ${total}, to ${hub.cacheFolder}`);
    }
    isTold = true;
  };
  try {
    const { folder, unknown } = await downloadModelFiles(parseHubModel(place), encoderHubFiles, {
      ...hub,
      token,
      signal,
      onProgress,
    });
    if (unknown.length > 0) {
      terminal.remark(
        `${place} is used as it is in ${folder}; whether it has ${unknown.join(", ")} could not be asked`,
      );
    }
    return folder;
  } catch (error) {
    signal.throwIfAborted();
    terminal.remark(`there is no folder "${place}" here, so that it was taken for a model of the Hugging Face Hub`);
    throw error;
  } finally {
    terminal.showStatus("");
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
