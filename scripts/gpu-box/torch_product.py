"""PyTorch's V.(X.U) in float32, in the shapes of `bench projection`, as JSON on stdout.

    python3 torch_product.py SHAPES PROBES ROUNDS

A rate counts the bytes of X per second. What lies in device memory already is measured over as many layers as exceed
the caches, with one wait at the end; what comes from (pageable) host memory waits for each layer's result, as a bench
of one layer does.
"""

import json
import sys
import time

HEIGHT = 128  # rows of V
LEAST_BYTES = 1 << 30  # more than any cache holds
CHECKED_COLUMNS = 2


def measure(torch, device, rows, columns, probes, rounds, copies, from_host):
    generator = torch.Generator().manual_seed(1)
    home = "cpu" if from_host else device
    layer = torch.randn(rows, columns, generator=generator) * 0.02
    u = torch.rand(columns, probes, generator=generator) * 2 - 1
    v = torch.rand(HEIGHT, rows, generator=generator) * 2 - 1
    layers = [layer.clone().to(home) for _ in range(copies)]
    du, dv = u.to(device), v.to(device)

    def wait():
        if device != "cpu":
            torch.cuda.synchronize()

    def run():
        if not from_host:
            for x in layers:
                z = dv @ (x @ du)
            return z
        for x in layers:
            z = (dv @ (x.to(device) @ du)).cpu()
        return z

    result = run().cpu().double()[:, :CHECKED_COLUMNS]
    exact = v.double() @ (layer.double() @ u.double()[:, :CHECKED_COLUMNS])
    error = ((result - exact).norm() / exact.norm()).item()
    wait()
    gigabytes = []
    for _ in range(rounds):
        begin = time.perf_counter()
        run()
        wait()
        gigabytes.append(copies * layer.numel() * 4 / (time.perf_counter() - begin) / 1e9)
    return {"gigabytes": gigabytes, "error": error}


def main(shapes, probe_counts, rounds):
    import torch

    cuda = torch.cuda.is_available()
    report = {"versions": f"PyTorch {torch.__version__}", "findings": []}
    if cuda:
        report["device"] = torch.cuda.get_device_name(0)
        report["versions"] += f", CUDA {torch.version.cuda}, {report['device']}"
    subjects = [(f"torch, CPU, {torch.get_num_threads()} threads", "cpu", False, False)]
    if cuda:
        subjects += [
            ("torch, cuda, X from host memory, TF32 off", "cuda", False, True),
            ("torch, cuda, X in device memory, TF32 off", "cuda", False, False),
            ("torch, cuda, X in device memory, TF32 on", "cuda", True, False),
        ]
    for shape in shapes.split(","):
        rows, columns = (int(each) for each in shape.split("x"))
        for probes in (int(each) for each in probe_counts.split(",")):
            for name, device, tf32, from_host in subjects:
                torch.backends.cuda.matmul.allow_tf32 = tf32
                least = LEAST_BYTES if device == "cuda" and not from_host else LEAST_BYTES // 4
                copies = max(1, min(1024, least // (rows * columns * 4)))
                found = measure(torch, device, rows, columns, probes, rounds, copies, from_host)
                case = {"rows": rows, "columns": columns, "probeCount": probes, "name": name}
                report["findings"].append(case | found)
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
