"""What goes over the wire, without a server."""

import pickle
import socket
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import grpc
import numpy as np

from probestream import Filter, ProbestreamError, Query, Record, Stored, Tls, connect, field
from probestream.connection import batches, is_this_machine
from probestream.digests import SEGMENT_BYTES, UploadDigest
from probestream.errors import _read_error_info
from probestream.gen.v1 import catalogue_service_pb2, embedding_service_pb2
from probestream.models import to_query
from probestream.sources.model import TensorInfo
from probestream.stopping import Stop
from probestream.upload.embed_stream import encode_chunk
from probestream.upload.manifest import select_tensors


class WireTest(unittest.TestCase):
    def test_chunks_are_encoded_as_the_generated_code_does(self):
        for index in (0, 1, 127, 128, 70_000):
            for offset in (0, 1, 2**31, 2**40 + 5):
                for length in (1, 127, 128, 20_000):
                    data = bytes(length)
                    found = encode_chunk(index, offset, memoryview(data))
                    chunk = embedding_service_pb2.EmbedModelChunk(tensor_index=index, offset=offset, data=data)
                    self.assertEqual(found, embedding_service_pb2.EmbedModelRequest(chunk=chunk).SerializeToString())

    def test_a_digest_does_not_depend_on_how_bytes_are_cut(self):
        data = memoryview(bytes(range(256)) * 40_000)
        digests = set()
        for size in (1_000_003, SEGMENT_BYTES, len(data)):
            digest = UploadDigest()
            for at in range(0, len(data), size):
                digest.update(data[at : at + size])
            digest.end_range()
            digests.add(digest.finish())
        self.assertEqual(len(digests), 1)

    def test_reasons_found_here_have_the_code_of_the_contract(self):
        codes = {"NON_FINITE": "INVALID_ARGUMENT", "EXPERT_AMBIGUOUS": "FAILED_PRECONDITION", "CORRUPT": "DATA_LOSS"}
        self.assertEqual({reason: ProbestreamError(reason, "").code.name for reason in codes}, codes)

    def test_filters_are_joined_as_they_are_written(self):
        found = (field("meta.a") == True) & (field("meta.b") > 2) & ~field("base").exists()  # noqa: E712
        kinds = [part.WhichOneof("kind") for part in getattr(found.wire, "and").filters]
        self.assertEqual(kinds, ["condition", "condition", "not"])
        (value,) = getattr(found.wire, "and").filters[0].condition.values
        self.assertEqual(value.WhichOneof("kind"), "truth")
        either = field("id").is_in(["a", "b"]) | (field("id") != "c")
        self.assertEqual(len(getattr(either.wire, "or").filters), 2)
        with self.assertRaises(TypeError):
            bool(field("id") == "a")
        with self.assertRaises(ProbestreamError):
            _ = field("id") == float("nan")
        self.assertIsInstance(either, Filter)
        self.assertEqual(catalogue_service_pb2.Filter.FromString(either.wire.SerializeToString()), either.wire)

    def test_errors_survive_a_process_pool(self):
        error = ProbestreamError("NON_FINITE", "a NaN", {"row": 3}, grpc.StatusCode.INVALID_ARGUMENT)
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual(
            (again.reason, again.code, again.metadata, str(again)), (error.reason, error.code, {"row": "3"}, "a NaN")
        )

    def test_details_that_are_cut_or_foreign_are_passed_over(self):
        info = b"\x0a\x06FORMAT\x1a\x08\x0a\x01a\x12\x03b c"
        url = b"type.googleapis.com/google.rpc.ErrorInfo"
        packed_any = b"\x0a" + bytes([len(url)]) + url + b"\x12" + bytes([len(info)]) + info
        packed = b"\x08\x03\x12\x01x\x1a" + bytes([len(packed_any)]) + packed_any
        self.assertEqual(_read_error_info(packed), ("FORMAT", {"a": "b c"}))
        for length in range(len(packed)):
            self.assertIsNone(_read_error_info(packed[:length]))

    def test_a_manifest_is_cut_down_to_what_an_expert_may_read(self):
        names = [
            "model.layers.1.mlp.gate.weight",
            "model.layers.1.mlp.gate.weight_scale_inv",
            "model.layers.1.mlp.gate_proj.weight",
            "model.layers.11.mlp.gate.weight",
            "lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight",
            "base_model.model.layers.1.mlp.gate.lora_A.weight",
        ]
        tensors = {name: TensorInfo(name, "F32", (1,)) for name in names}
        found = [tensor.name for tensor in select_tensors(tensors, ["model.layers.1.mlp.gate"])]
        # More than the expert reads, never less.
        self.assertEqual(found, [names[0], names[1], names[2], names[5]])


class ConnectionTest(unittest.TestCase):
    def serve(self, *services):
        server = grpc.server(ThreadPoolExecutor(1))
        server.add_generic_rpc_handlers(services)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        self.addCleanup(server.stop, 0)
        return f"127.0.0.1:{port}"

    def test_only_what_cannot_be_overheard_is_this_machine(self):
        near = ("localhost:1", "localhost", "127.0.0.1:1", "127.8.9.10:1", "[::1]:1", "dns:///localhost:1", "unix:/a")
        for target in near:
            self.assertTrue(is_this_machine(target), target)
        far = ("127.example.org:1", "127.0.0.1.example.org:1", "localhost.example.org:1", "10.0.0.1:1", "", ":1")
        for target in far:
            self.assertFalse(is_this_machine(target), target)

    def test_a_token_does_not_leave_this_machine_in_plaintext(self):
        for target in ("localhost:1", "127.0.0.1:1", "[::1]:1", "dns:///localhost:1", "unix:/run/probestream.sock"):
            connect(target, token="secret").close()
        for target in ("example.org:1", "127.example.org:1", "localhost.example.org:1", "dns:///127.example.org:1"):
            with self.assertRaises(ProbestreamError) as caught:
                connect(target, token="secret")
            self.assertEqual(caught.exception.reason, "FIELD_INVALID")

    def test_a_private_key_is_not_shown(self):
        shown = repr(Tls(authority=b"known to all", private_key=b"secret"))
        self.assertIn("known to all", shown)
        self.assertNotIn("secret", shown)

    def test_an_export_that_is_cancelled_ends_though_the_server_is_silent(self):
        left, export = threading.Event(), catalogue_service_pb2.ExportModelsResponse()
        export.records.add(model_id="a")

        def answer(_, context):
            context.add_callback(left.set)
            yield export
            left.wait(10)

        handler = grpc.unary_stream_rpc_method_handler(
            answer, catalogue_service_pb2.ExportModelsRequest.FromString, lambda message: message.SerializeToString()
        )
        service = grpc.method_handlers_generic_handler("probestream.v1.CatalogueService", {"ExportModels": handler})
        target, cancel = self.serve(service), threading.Event()
        with connect(target) as client:
            records = client.export(cancel=cancel)
            self.assertEqual(next(records).model_id, "a")
            threading.Timer(0.2, cancel.set).start()
            began = time.monotonic()
            with self.assertRaises(ProbestreamError) as caught:
                next(records)
            self.assertEqual(caught.exception.code, grpc.StatusCode.CANCELLED)
            self.assertTrue(left.wait(3))
            self.assertLess(time.monotonic() - began, 5)

    def test_a_name_alone_stands_for_a_list_of_one(self):
        wire = to_query(Query("a", experts="mine", trees="sdxl"))
        self.assertEqual((list(wire.experts), list(wire.trees)), (["mine"], ["sdxl"]))

    def test_names_that_can_be_read_once_go_with_every_part_of_a_long_call(self):
        requests = []

        def unary(method, request, **_):
            requests.append(request)
            return SimpleNamespace(answers=[], unjudged=[], doubtful=[], records=[])

        ids = [f"model {at}" for at in range(5)]
        with connect("127.0.0.1:1") as client:
            client._split = lambda items: batches(items, 2)
            client._connection.unary = unary
            client.classify(map(Stored, ids), iter(["a", "b"]), experts=iter(["mine"]))
            client.find_duplicates(ids, experts=iter(["mine"]))
            client.get(ids, spaces=iter(["mine"]))
        self.assertEqual(len(requests), 9)
        for request in requests[:3]:
            self.assertEqual((list(request.labels), list(request.experts)), (["a", "b"], ["mine"]))
        for request in requests[3:6]:
            self.assertEqual(list(request.experts), ["mine"])
        for request in requests[6:]:
            self.assertEqual(list(request.spaces), ["mine"])

    def test_a_target_without_a_port_is_refused_at_once(self):
        http = ("http://127.0.0.1:50051", "https://models.example.org")
        for target in ("", "127.0.0.1", "::1", ":50051", "host:", "host:0", "host:65536", "a b:1", "me@host:1", None, *http):
            with self.assertRaises(ProbestreamError) as caught:
                connect(target)
            self.assertEqual(caught.exception.reason, "FIELD_INVALID")
            self.assertIn("give HOST:PORT", str(caught.exception))
            self.assertEqual("without http" in str(caught.exception), target in http)
        for target in ("models.example.org:443", "[::1]:65535", "dns:///host", "unix:/a"):
            connect(target).close()

    def test_a_token_that_cannot_be_sent_is_told_apart_and_not_repeated(self):
        for token, said in (
            ("", "is empty"),
            ("secret\n", "holds a line break"),
            ("se cret", "a header cannot hold"),
            ("sécret", "a header cannot hold"),
        ):
            with self.assertRaises(ProbestreamError) as caught:
                connect("localhost:1", token=token)
            self.assertEqual(caught.exception.reason, "FIELD_INVALID")
            self.assertIn(said, str(caught.exception))
            self.assertNotIn("cret", str(caught.exception))

    def test_every_call_of_a_closed_client_says_so_at_once(self):
        client = connect("127.0.0.1:1")
        client.close()
        record = Record("a", [1.0])
        calls = (
            client.experts,
            client.server_info,
            client.spaces,
            lambda: client.embed({"a": np.ones(1)}),
            lambda: client.embed({"a": np.ones(1)}, local=True),
            lambda: client.route({"a": np.ones(1)}),
            lambda: client.retrieve("red"),
            lambda: client.classify(Stored("a")),
            lambda: client.find_duplicates("a"),
            lambda: client.get("a"),
            lambda: list(client.list()),
            lambda: client.update("a", {"b": 1}),
            lambda: client.delete("a"),
            lambda: list(client.export()),
            lambda: client.import_records([record], space_id="a"),
        )
        began = time.monotonic()
        for call in calls:
            with self.assertRaises(ProbestreamError) as caught:
                call()
            found = caught.exception
            self.assertEqual((found.reason, found.code), ("SHUTTING_DOWN", grpc.StatusCode.UNAVAILABLE), str(found))
        self.assertLess(time.monotonic() - began, 2)

    def test_what_is_no_model_and_numbers_below_0_are_refused(self):
        with connect("127.0.0.1:1") as client:
            for call, said in (
                (lambda: client.embed(None), "a model is given as a NoneType"),
                (lambda: client.embed(3), "a model is given as a int"),
                (lambda: client.retrieve(Query("a", k=-1)), "k is -1; it must be a whole number from 0"),
                (lambda: client.classify(Stored("a"), top=-1), "top is -1"),
                (lambda: client.find_duplicates("a", k=-1), "k is -1"),
                (lambda: client.classify("a"), "give a result of embed, or Stored(id)"),
                (lambda: client.classify(["a"]), "give a result of embed, or Stored(id)"),
                (lambda: client.embed("a", texts=["red circle"]), "texts are no numbers; give vectors"),
                (lambda: client.embed("a", texts=[[1, 2], [3]]), "all of one width"),
                (lambda: client.embed("a", experts=3), "names are given as 3; give a name, or a list of names"),
                (lambda: client.embed("a", experts=[3]), "names are given as [3]"),
                (lambda: client.retrieve(Query(None)), "an example is given as a NoneType"),
            ):
                with self.assertRaises(ProbestreamError) as caught:
                    call()
                self.assertEqual(caught.exception.reason, "FIELD_INVALID")
                self.assertIn(said, str(caught.exception))

    def test_a_server_without_tls_is_told_from_one_that_is_not_there(self):
        target = self.serve()
        with connect(target, tls=True, timeout=2) as client, self.assertRaises(ProbestreamError) as caught:
            client.server_info()
        self.assertIn("speaks no TLS", str(caught.exception))

    def test_a_server_that_is_silent_is_said_to_have_given_no_answer(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            with connect(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.3) as client:
                with self.assertRaises(ProbestreamError) as caught:
                    client.server_info()
        self.assertEqual(caught.exception.code, grpc.StatusCode.DEADLINE_EXCEEDED)
        self.assertIn("did not answer before the call's deadline", str(caught.exception))


class StopTest(unittest.TestCase):
    def test_the_first_reason_counts_and_wakes_all(self):
        event, woken = threading.Event(), []
        stop = Stop(event)
        stop.on_stop(lambda: woken.append(1))
        stop.check()
        event.set()
        with self.assertRaises(ProbestreamError) as caught:
            stop.check()
        self.assertEqual((caught.exception.code, woken), (grpc.StatusCode.CANCELLED, [1]))
        stop.stop(ValueError())
        self.assertIs(stop.reason, caught.exception)
        stop.on_stop(lambda: woken.append(2))
        self.assertEqual(woken, [1, 2])


if __name__ == "__main__":
    unittest.main()
