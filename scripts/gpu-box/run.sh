#!/usr/bin/env bash
# Runs the suite of the backend `gpu` and the bench `projection` on a machine with a GPU, from the archive beside this
# script: no Node, packages or network are needed, only x86-64 Linux with glibc 2.34, tar, xz or Python 3, and a Vulkan
# driver. Made by `scripts/gpu-bundle`.
#
#   ./run.sh [--allow-software] [--no-suite] [--shapes RxC,...] [--probes N,...] [--rounds N] [--backends NAME,...]
#
# Writes to $OUT (./gpu-results if not set): column.md, the machine's column; adapter.txt, suite.txt, bench.txt,
# bench.json, torch.json. Fails where there is no GPU, where the suite fails or is skipped, and on a software renderer
# unless it is allowed. PyTorch is measured where $PYTHON (python3) has it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-$PWD/gpu-results}
python=${PYTHON:-python3}
allow_software= suite=yes
shapes=1024x4096,4096x4096,1024x16384 probes=128 rounds=7 backends=onnx,wasm,gpu,gpu-thread
while (($# > 0)); do
  case $1 in
    --allow-software) allow_software=yes ;;
    --no-suite) suite= ;;
    --shapes | --probes | --rounds | --backends)
      (($# > 1)) || { echo "$1 needs a value" >&2; exit 2; }
      printf -v "${1#--}" %s "$2"
      shift
      ;;
    *) echo "unknown option $1" >&2; exit 2 ;;
  esac
  shift
done

mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -f "$out"/{column.md,adapter.txt,suite.txt,bench.txt,bench.json,torch.json}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Says why nothing was measured, where the column would be.
give_up() {
  printf 'This has not run: %s.\n' "$1" | tee "$out/column.md" >&2
  exit 1
}

archive=$here/probestream-gpu.tar.xz
if command -v tar >/dev/null && command -v xz >/dev/null; then
  tar -C "$work" -xJf "$archive"
elif command -v "$python" >/dev/null; then
  "$python" -c 'import sys, tarfile; tarfile.open(sys.argv[1], "r:xz").extractall(sys.argv[2])' "$archive" "$work"
else
  give_up "neither tar with xz nor Python is here to unpack the archive"
fi
cd "$work/probestream"
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$work}

# Libraries of our own only where the machine has none: its own fit its driver.
known=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null || true)
for library in lib/*; do
  [[ $known == *"${library#lib/}"* ]] && rm "$library"
done
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$PWD/lib

node=$PWD/bin/node
version=$("$node" --version 2>&1) || give_up "Node does not start: ${version%%$'\n'*}"
echo "Node $version; $(ls lib | tr '\n' ' ')of our own"

# Containers often have NVIDIA's driver without the file that names it to Vulkan, or without the X11 that libGLX_nvidia
# wants; libEGL_nvidia holds the same driver.
drivers=("")
for library in libGLX_nvidia.so.0 libEGL_nvidia.so.0; do
  [[ $known == *"$library"* ]] || continue
  printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "1.3.0"}}\n' "$library" \
    >"$work/$library.json"
  drivers+=("$work/$library.json")
done
state=1
for driver in "${drivers[@]}"; do
  [[ -z $driver ]] || export VK_DRIVER_FILES=$driver VK_ICD_FILENAMES=$driver
  state=0
  "$node" dist/scripts/gpu-adapter.js >"$work/adapter.txt" 2>&1 || state=$?
  echo "${driver:+$(basename "$driver"): }$(cat "$work/adapter.txt")" | tee -a "$out/adapter.txt"
  ((state != 0)) || break
done
if ((state != 0)) && ((${#drivers[@]} > 1)); then
  # None of NVIDIA's: back to what the machine names itself.
  unset VK_DRIVER_FILES VK_ICD_FILENAMES
  state=0
  "$node" dist/scripts/gpu-adapter.js >"$work/adapter.txt" 2>&1 || state=$?
fi
case $state in
  0) ;;
  3) [[ -n $allow_software ]] || give_up "there is only a software renderer ($(cat "$work/adapter.txt"))" ;;
  *) give_up "$(head -n 1 "$work/adapter.txt")" ;;
esac

failed=()
if [[ -n $suite ]]; then
  CI=true "$node" .ci/gpu-suite.js webgpu 2>&1 | tee "$out/suite.txt" || failed+=(suite)
fi
"$node" dist/bench/bench.js projection --backends "$backends" --shapes "$shapes" --probes "$probes" \
  --rounds "$rounds" --dtypes F32 --json "$out/bench.json" 2>&1 | tee "$out/bench.txt" || failed+=(bench)
torch=$out/torch.json
if env -u LD_LIBRARY_PATH "$python" -c 'import torch' 2>/dev/null; then
  # Our libraries are not PyTorch's.
  env -u LD_LIBRARY_PATH "$python" scripts/gpu-box/torch_product.py "$shapes" "$probes" "$rounds" >"$torch" ||
    { rm -f "$torch"; failed+=(torch); }
fi
if [[ -s $out/bench.json ]]; then
  {
    "$node" dist/scripts/gpu-table.js "$out/bench.json" "$torch"
    [[ -n $suite ]] || printf '\nThe suite has not run.\n'
    ((${#failed[@]} == 0)) || printf '\nFailed: %s.\n' "${failed[*]}"
  } | tee "$out/column.md"
fi
((${#failed[@]} == 0)) || { echo "failed: ${failed[*]}" >&2; exit 1; }
