/** How the name of an index of PyTorch's shards ends. */
const torchIndex = /\.bin\.index\.json$/;

/** Extensions under which PyTorch saves. */
const torchFile = /\.(?:bin|pt|pth|ckpt)$/i;

/** What trainers save beside a model under the same extensions: states of optimisers and of random numbers, arguments. */
const besideModel =
  /^(?:(?:optimizer|scheduler|scaler|sampler|rng_state|random_states)(?:_.*)?|training_args|.*optim_states)\./i;

/** Whether a file's name is that of a PyTorch checkpoint of a model, as far as names tell. */
export function isCheckpointName(name: string): boolean {
  return torchFile.test(name) && !besideModel.test(name);
}

/** Whether a file's name is that of an index of PyTorch's shards. */
export function isTorchIndexName(name: string): boolean {
  return torchIndex.test(name);
}

/**
 * Names of the safetensors files that would be the same model as a checkpoint, or as an index of some: its own stem, and
 * `model` for `pytorch_model`, as Hugging Face's libraries call the two.
 */
export function toTwinNames(name: string): readonly string[] {
  const stem = name.replace(/(?:-\d{5}-of-\d{5})?(?:\.bin\.index\.json|\.[a-z]+)$/i, "");
  return [stem, stem.replace(/^pytorch_model/, "model")].flatMap((own) => [
    `${own}.safetensors`,
    `${own}.safetensors.index.json`,
  ]);
}
