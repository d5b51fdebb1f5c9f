"""Embedding, on the real server."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import numpy as np

import probestream
from probestream.sources.byte_source import FileSource
from probestream.sources.safetensors_header import read_header
from probestream.stopping import Stop
from tests.world import ServerCase, read_world

CTRL_C = """
import sys, probestream
with probestream.connect(sys.argv[1]) as client:
    client.embed(sys.argv[2], experts="large", progress=lambda p: p.bytes_sent > 2e6 and print("on", flush=True))
"""


def read_arrays(path):
    source = FileSource(path)
    arrays = {}
    for tensor in read_header(source, Stop()).tensors.values():
        data = source.read(tensor.begin, tensor.end, Stop())
        arrays[tensor.name] = np.frombuffer(data, "<f4").reshape(tensor.shape)
    source.close()
    return arrays


class GoldenTest(ServerCase):
    def test_every_recorded_case_comes_out_to_1e_5(self):
        for name, golden in self.world["golden"].items():
            results = self.client.embed(golden["paths"], experts=name, texts=golden["texts"])
            for result, expected in zip(results, golden["expected"]):
                with self.subTest(name):
                    (found,) = result.embeddings
                    if expected["representation"] is not None:
                        self.assert_close(found.representation, expected["representation"])
                    scores = found.label_logits if golden["texts"] is None else found.text_cosines
                    self.assert_close(scores, expected["scores"])

    def test_arrays_give_what_the_file_gives(self):
        (path, expected) = self.small(3)
        arrays = read_arrays(path)
        weight = arrays["m.fc.weight"]
        for name, changed in {
            "as they are": weight,
            "transposed twice": np.asfortranarray(weight),
            "big-endian": weight.astype(">f4"),
            "float64": weight.astype(np.float64),
        }.items():
            with self.subTest(name):
                self.assert_close(self.client.embed({**arrays, "m.fc.weight": changed}).representation, expected)

    def test_tensors_of_pytorch_are_sent_as_they_are(self):
        try:
            import torch
        except ImportError:
            self.skipTest("python3-torch is not installed")
        (path, expected) = self.small(4)
        weight = torch.from_numpy(read_arrays(path)["m.fc.weight"].copy())
        whole = self.client.embed({"m.fc.weight": weight.t().contiguous().t().requires_grad_()}, experts=["small"])
        self.assert_close(whole.representation, expected)
        short = self.client.embed({"m.fc.weight": weight.bfloat16()}, experts=["small"])
        self.assertEqual(short.bytes_total, 240)
        self.assert_close(short.representation, expected, 1e-2)

        class Module(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.m = torch.nn.ModuleDict({"fc": torch.nn.Linear(10, 12, bias=False)})
                self.m.fc.weight = torch.nn.Parameter(weight)

        self.assert_close(self.client.embed(Module(), experts="small").representation, expected)
        nowhere = torch.nn.Linear(10, 12, bias=False, device="meta").weight
        self.assert_refused("FIELD_INVALID", lambda: self.client.embed({"m.fc.weight": nowhere}, experts="small"))

    def test_many_models_share_a_stream_and_keep_their_order(self):
        paths = [self.small(i % 8 + 1)[0] for i in range(300)]
        counts = []
        results = self.client.embed(iter(paths), experts="small", progress=lambda p: counts.append(p.models_done))
        self.assertEqual([result.location for result in results], paths)
        for at, result in enumerate(results):
            self.assert_close(result.representation, self.small(at % 8 + 1)[1])
        self.assertEqual(counts[-1], 300)

    def small(self, number):
        return self.world["small"][number - 1]


class InterruptionTest(ServerCase):
    def test_an_upload_that_is_cut_goes_on_where_the_server_had_got_to(self):
        with probestream.connect(self.world["cut"]) as client:
            result = client.embed(self.world["large"][0], experts="large")
        self.assertEqual(result.bytes_total, 21_000_000)
        self.assertLess(result.bytes_received, 21_000_000 - 8_000_000)
        self.assertEqual(result.weights_hash, self.world["large_hash"])

    def test_cancelling_stops_at_once_and_leaves_the_client_usable(self):
        cancel = threading.Event()
        sent = []

        def progress(counts):
            sent.append(counts.bytes_sent)
            if counts.bytes_sent > 3_000_000:
                cancel.set()

        with probestream.connect(self.world["slow"]) as client:
            began = time.monotonic()
            error = self.assert_refused(
                "", lambda: client.embed(self.world["large"][1], experts="large", progress=progress, cancel=cancel)
            )
            self.assertEqual(error.code.name, "CANCELLED")
            # The link lets 8 MiB a second through: all of it would take 2.5 s.
            self.assertLess(time.monotonic() - began, 1.5)
            self.assertLess(max(sent), 8_000_000)
            self.assertEqual(client.embed(self.world["small"][0][0], experts="small").bytes_total, 480)

    def test_cancelling_ends_requests_that_nobody_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            urls = [f"http://127.0.0.1:{silent.getsockname()[1]}/{name}.safetensors" for name in "abc"]
            before, cancel = threading.active_count(), threading.Event()
            threading.Timer(0.3, cancel.set).start()
            began = time.monotonic()
            error = self.assert_refused("", lambda: self.client.embed(urls, cancel=cancel))
            self.assertEqual(error.code.name, "CANCELLED")
            self.assertLess(time.monotonic() - began, 3)
        deadline = time.monotonic() + 3
        while threading.active_count() > before and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertLessEqual(threading.active_count(), before)

    def test_ctrl_c_ends_the_program(self):
        command = [sys.executable, "-c", CTRL_C, self.world["slow"], self.world["large"][2]]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        child.stdout.readline()
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=20)
        self.assertLess(time.monotonic() - began, 2)
        self.assertIn("KeyboardInterrupt", errors)
        self.assertNotEqual(child.returncode, 0)

    def test_time_runs_out(self):
        with probestream.connect(self.world["slow"]) as client:
            error = self.assert_refused("", lambda: client.embed(self.world["large"][3], experts="large", timeout=0.5))
        self.assertEqual(error.code.name, "DEADLINE_EXCEEDED")
        self.assertIn("0.5 s", str(error))

    def test_what_the_progress_callback_raises_ends_the_call(self):
        def progress(_):
            raise ZeroDivisionError("enough")

        with self.assertRaises(ZeroDivisionError):
            self.client.embed(self.world["small"][0][0], progress=progress)

    def test_leaving_the_loop_early_leaves_no_thread(self):
        before = threading.active_count()
        for _ in self.client.embed_iter([self.world["small"][0][0]] * 500, experts="small"):
            break
        deadline = time.monotonic() + 3
        while threading.active_count() > before and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertLessEqual(threading.active_count(), before)


class ErrorTest(ServerCase):
    def test_a_wrong_path_is_named(self):
        error = self.assert_refused("FILE_NOT_FOUND", lambda: self.client.embed("no/such/model.safetensors"))
        self.assertEqual(str(error), 'there is no file "no/such/model.safetensors"; check the path')
        self.assertEqual(error.metadata, {"path": "no/such/model.safetensors"})

    def test_a_file_that_is_empty_or_cut_short_is_said_to_be_so_with_what_to_do(self):
        for content in (b"", b"1234"):
            error = self.assert_refused("HEADER_MALFORMED", lambda content=content: self.client.embed(content))
            self.assertIn(f"has {len(content)} bytes", str(error))
            self.assertIn("download or save it again", str(error))

    def test_one_model_of_many_costs_the_others_nothing(self):
        path = self.world["small"][0][0]
        good, missing, wrong = self.client.embed([path, "no/such", {"a": [1, 2]}], experts="small")
        self.assertIsNone(good.error)
        self.assertEqual(missing.error.reason, "FILE_NOT_FOUND")
        self.assertEqual(wrong.error.reason, "FIELD_INVALID")
        with self.assertRaises(probestream.ProbestreamError):
            _ = missing.representation

    def test_a_path_that_is_no_utf_8_is_read_all_the_same(self):
        path = os.fsencode(self.world["small"][0][0])
        with tempfile.TemporaryDirectory() as folder:
            odd = os.path.join(os.fsencode(folder), b"\xff.safetensors")
            shutil.copy(path, odd)
            result = self.client.embed(os.fsdecode(odd), experts="small")
        self.assert_close(result.representation, self.world["small"][0][1])
        self.assertTrue(result.model_id.endswith("?.safetensors"))

    def test_a_server_that_is_not_there_is_named_once_for_all(self):
        with probestream.connect(self.world["dead"]) as client:
            error = self.assert_refused(
                "SOURCE_UNAVAILABLE", lambda: client.embed([self.world["small"][0][0]] * 9, retries=1)
            )
        self.assertIn(self.world["dead"], str(error))

    def test_numbers_that_cannot_be_meant_are_refused(self):
        path = self.world["small"][0][0]
        self.assert_refused("FIELD_INVALID", lambda: self.client.embed(path, concurrency=0))
        self.assert_refused("FIELD_INVALID", lambda: self.client.embed(path, retries=-1))

    def test_an_expert_may_be_named_alone(self):
        route = self.client.route(self.world["small"][0][0], experts="small")
        self.assertEqual([candidate.expert_name for candidate in route.candidates], ["small"])


class CatalogueTest(ServerCase):
    def test_what_is_indexed_is_listed_found_exported_and_deleted(self):
        with probestream.connect(self.world["store"]) as client:
            path, expected = self.world["small"][6]
            index = probestream.Index({"style": "night", "rank": 8})
            indexed = client.embed(probestream.Model(path, id="ünï"), experts="small", index=index)
            self.assertEqual(indexed.indexed_id, "ünï")
            style = probestream.field("meta.style") == "night"
            (listed,) = client.list(filter=style & (probestream.field("meta.rank") >= 8))
            self.assertEqual((listed.model_id, listed.metadata["rank"]), ("ünï", 8))
            (hit,) = client.retrieve(probestream.Query(indexed, k=1)).hits
            self.assertEqual(hit.model_id, "ünï")
            answers = client.retrieve(
                [probestream.Query(probestream.Stored("nobody")), probestream.Query(indexed, k=2)]
            )
            self.assertEqual(answers[0].error.reason, "MODEL_NOT_FOUND")
            self.assertEqual(len(answers[1].hits), 2)
            # Of one the answer, or its error; of several a list.
            self.assert_refused("MODEL_NOT_FOUND", lambda: client.find_duplicates("nobody"))
            self.assertIsNone(client.find_duplicates("ünï").error)
            self.assertEqual(client.find_duplicates(["nobody"])[0].error.reason, "MODEL_NOT_FOUND")
            self.assert_refused("MODEL_NOT_FOUND", lambda: client.classify(probestream.Stored("nobody")))
            self.assertEqual(client.classify([probestream.Stored("nobody")])[0].error.reason, "MODEL_NOT_FOUND")
            exported = {record.model_id: record for record in client.export()}
            self.assert_close(exported["ünï"].representation, expected)
            self.assertEqual(client.delete("ünï"), 1)
            (space,) = client.spaces().spaces
            self.assertEqual(client.import_records([exported["ünï"]], space_id=space.space_id), 1)
            self.assertEqual(client.get("ünï")[0].created, exported["ünï"].created)
            self.assertEqual(client.delete(["ünï", "nobody"]), 1)


if __name__ == "__main__":
    read_world()
    unittest.main()
