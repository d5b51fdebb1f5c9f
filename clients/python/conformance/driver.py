"""Runs conformance cases with this client: a line of JSON in, a line of JSON out (clients/conformance/README.md)."""

import json
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    import probestream
except ImportError as error:
    print(f"python3-grpcio, python3-protobuf or python3-numpy is missing: {error}", file=sys.stderr)
    sys.exit(77)

from google.protobuf import json_format  # noqa: E402

from probestream import Index, Model, Query, Record, Stored, Tls  # noqa: E402
from probestream.convert import fill_result  # noqa: E402
from probestream.errors import from_model_error  # noqa: E402
from probestream.filters import Filter  # noqa: E402
from probestream.gen.v1 import catalogue_service_pb2, embedding_service_pb2, embedding_service_pb2_grpc, types_pb2  # noqa: E402
from probestream.sources.safetensors_header import read_header  # noqa: E402
from probestream.sources.byte_source import FileSource  # noqa: E402
from probestream.stopping import Stop  # noqa: E402


def main():
    """Until the input ends."""
    for line in sys.stdin:
        case = json.loads(line)
        print(json.dumps({"name": case["name"], "outcomes": run(case)}), flush=True)


def run(case):
    """The outcomes of a case's steps."""
    with connect(**case["connect"]) as client:
        outcomes = []
        for step in case["steps"]:
            try:
                outcomes.append({"ok": VERBS[step["verb"]](client, **step["args"])})
            except probestream.ProbestreamError as error:
                outcomes.append({"error": to_error(error)})
        return outcomes


def connect(target, tls=None, token=None, deadline_ms=60_000):
    """A client as a case wants it."""
    return probestream.connect(target, tls=None if tls is None else Tls(**tls), token=token, timeout=deadline_ms / 1000)


def embed(client, sources, experts=(), texts=None, index=None, cancel_after_bytes=None, deadline_ms=None, **where):
    cancel = threading.Event()
    told = {"calls": 0, "bytes_sent": 0}

    def on_progress(progress):
        told["calls"] += 1
        told["bytes_sent"] = progress.bytes_sent
        if cancel_after_bytes is not None and progress.bytes_sent >= cancel_after_bytes:
            cancel.set()

    results = client.embed(
        [Model(to_source(source), source.get("id", "")) for source in sources],
        experts=experts,
        texts=texts,
        index=None if index is None else Index(**index),
        progress=on_progress,
        cancel=cancel,
        timeout=None if deadline_ms is None else deadline_ms / 1000,
        **where,
    )
    return {"results": [to_result(result) for result in results], "progress": told}


def embed_local(client, probes, **args):
    return embed(client, **args, local=True, probes=probes)


def to_source(source):
    if "bytes" in source:
        return Path(source["bytes"]).read_bytes()
    if "arrays" in source:
        return read_arrays(source["arrays"])
    return source.get("path") or source["url"]


def read_arrays(path):
    """Tensors of a file as NumPy arrays."""
    import numpy

    types = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
    source = FileSource(path)
    arrays = {}
    for tensor in read_header(source, Stop()).tensors.values():
        data = source.read(tensor.begin, tensor.end, Stop())
        arrays[tensor.name] = numpy.frombuffer(data, types[tensor.dtype]).reshape(tensor.shape)
    source.close()
    return arrays


def raw_embed(client, manifest, messages):
    """What the bare generated stub gets."""
    connection = client._connection
    stub = embedding_service_pb2_grpc.EmbeddingServiceStub(connection.channel)
    wanted = json_format.ParseDict(manifest, types_pb2.Manifest())
    request = embedding_service_pb2.PlanEmbeddingRequest(manifests=[wanted])
    (plan,) = connection.unary(stub.PlanEmbedding, request).plans
    if plan.WhichOneof("outcome") == "error":
        raise from_model_error(plan.error)
    requests = [to_request(message, plan.planned, wanted.model_id) for message in messages]
    answer = connection.wait(lambda: stub.EmbedModel.future(iter(requests), timeout=30), Stop())
    results = []
    for one in answer.results:
        if one.WhichOneof("outcome") == "error":
            results.append({"model_id": one.model_id, "error": to_error(from_model_error(one.error))})
        else:
            result = probestream.EmbedResult(one.model_id, "")
            fill_result(result, one)
            results.append(to_result(result))
    return {"results": results, "stopped_early": answer.stopped_early}


def to_request(message, planned, model_id):
    """A message, its header filled from the plan where it says nothing else."""
    request = json_format.ParseDict(message, embedding_service_pb2.EmbedModelRequest())
    if "header" in message:
        said = set(message["header"])
        header = request.header
        filled = {
            "model_id": model_id,
            "upload_id": planned.upload_id,
            "tensors": planned.tensors,
            "space_ids": [target.space_id for target in planned.targets],
            "routed": planned.routed,
            "start_offsets": [start.offset for start in planned.starts],
        }
        left = {name: value for name, value in filled.items() if name not in said}
        header.MergeFrom(embedding_service_pb2.EmbedModelHeader(**left))
    return request


def retrieve(client, queries, with_records=False):
    answers = client.retrieve([to_query(**query) for query in queries], with_records=with_records)
    return {"answers": [to_answer(answer) for answer in answers]}


def to_query(positives=(), negatives=(), filter=None, **rest):
    return Query(list(map(to_example, positives)), list(map(to_example, negatives)), filter=to_filter(filter), **rest)


def to_example(example):
    if "text" in example:
        return example["text"]
    if "model_id" in example:
        return Stored(example["model_id"])
    return (example["representation"]["space_id"], example["representation"]["values"])


def to_filter(filter):
    return None if filter is None else Filter(json_format.ParseDict(filter, catalogue_service_pb2.Filter()))


def to_answer(answer):
    if answer.error is not None:
        return {"error": to_error(answer.error)}
    hits = []
    for hit in answer.hits:
        found = {"model_id": hit.model_id, "space_id": hit.space_id, "cosine": hit.cosine}
        if hit.score is not None:
            found["score"] = hit.score
        if hit.record is not None:
            found["record"] = to_record(hit.record)
        hits.append(found)
    skipped = [
        {"space_id": s.space_id, "expert_name": s.expert_name, "error": to_error(s.error)} for s in answer.skipped
    ]
    unknown_words = [vars(one) for one in answer.unknown_words]
    return {"hits": hits, "skipped": skipped, "unknown_words": unknown_words}


def classify(client, models, **rest):
    answers = []
    for answer in client.classify(list(map(to_example, models)), **rest):
        if answer.error is not None:
            answers.append({"error": to_error(answer.error)})
            continue
        labels = [{name: value for name, value in vars(one).items() if value is not None} for one in answer.labels]
        unjudged = [{"label": one.label, "error": to_error(one.error)} for one in answer.unjudged]
        doubtful = [vars(one) for one in answer.doubtful]
        rest = {"calibrated": answer.calibrated, "unjudged": unjudged, "doubtful": doubtful}
        answers.append({"space_id": answer.space_id, "labels": labels, **rest})
    return {"answers": answers}


def find_duplicates(client, **args):
    answers = []
    for answer in client.find_duplicates(**args):
        if answer.error is not None:
            answers.append({"error": to_error(answer.error)})
        else:
            answers.append({"duplicates": [vars(one) for one in answer.duplicates]})
    return {"answers": answers}


def spaces(client):
    found = client.spaces()
    return {"spaces": [vars(space) for space in found.spaces], "store": found.store}


def listed(client, filter=None, **rest):
    return {"records": [to_record(record) for record in client.list(filter=to_filter(filter), **rest)]}


def export(client, filter=None, **rest):
    return {"records": [to_record(record) for record in client.export(filter=to_filter(filter), **rest)]}


def import_records(client, records, **rest):
    return {"imported_count": client.import_records([Record(**record) for record in records], **rest)}


def to_record(record):
    values = [] if record.representation is None else record.representation.tolist()
    found = {name: value for name, value in vars(record).items() if name not in ("created", "updated")}
    return {**found, "representation": values}


def experts(client):
    found = client.experts()
    return {
        "experts": [to_expert(expert) for expert in found.experts],
        "unusable": [{"name": name, "error": to_error(error)} for name, error in found.unusable.items()],
    }


def to_expert(expert):
    return {**vars(expert), "layer": {"module": expert.module}}


def route(client, source, experts=()):
    found = client.route(to_source(source), experts=experts)
    return {"decision": found.decision, "candidates": [{**vars(one), "tree": None} for one in found.candidates]}


def server_info(client):
    found = client.server_info()
    return {
        "version": found.version,
        "limits": found.limits,
        "backends": [vars(one) for one in found.backends],
        "text_encoders": found.text_encoders,
        "store": found.store,
    }


def to_result(result):
    if result.error is not None:
        return {"model_id": result.model_id, "error": to_error(result.error)}
    embeddings = []
    for one in result.embeddings:
        found = {name: getattr(one, name) for name in ("space_id", "expert_name", "labels")}
        for name in ("representation", "text_cosines", "label_logits", "label_probabilities"):
            found[name] = getattr(one, name).tolist()
        if one.tree is not None:
            found["tree"] = vars(one.tree)
        embeddings.append(found)
    names = ("model_id", "bytes_received", "bytes_total", "weights_hash", "indexed_id")
    return {"embeddings": embeddings, **{name: getattr(result, name) for name in names}}


def to_error(error):
    return {"code": error.code.name, "reason": error.reason, "message": error.message, "metadata": dict(error.metadata)}


VERBS = {
    "embed": embed,
    "embed_local": embed_local,
    "raw_embed": raw_embed,
    "retrieve": retrieve,
    "classify": classify,
    "find_duplicates": find_duplicates,
    "spaces": spaces,
    "get": lambda client, **args: {"records": [to_record(record) for record in client.get(**args)]},
    "list": listed,
    "update": lambda client, **args: {"records": [to_record(record) for record in client.update(**args)]},
    "delete": lambda client, **args: {"deleted_count": client.delete(**args)},
    "export": export,
    "import_records": import_records,
    "switch_spaces": lambda client, **args: client.switch_spaces(**args) or {},
    "drop_space": lambda client, **args: client.drop_space(**args) or {},
    "experts": experts,
    "get_expert": lambda client, expert: {"expert": to_expert(client.get_expert(expert))},
    "route": route,
    "server_info": server_info,
}

if __name__ == "__main__":
    main()
