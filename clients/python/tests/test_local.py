"""Embedding with weights that stay here, on the real server."""

import os
import tempfile
import threading
import unittest

import numpy as np

import probestream
from probestream.connection import Connection
from tests.world import ServerCase


class LocalTest(ServerCase):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.options = {"local": True, "probes": os.path.join(folder.name, "probes")}
        self.asked = []
        whole = Connection.stream

        def stream(connection, method, request, timeout, stop):
            self.asked.append(request)
            return whole(connection, method, request, timeout, stop)

        Connection.stream = stream
        self.addCleanup(setattr, Connection, "stream", whole)

    def test_every_recorded_case_comes_out_to_1e_5_and_as_streamed_to_1e_6(self):
        for name, golden in self.world["golden"].items():
            streamed = self.client.embed(golden["paths"], experts=name, texts=golden["texts"])
            results = self.client.embed(golden["paths"], experts=name, texts=golden["texts"], **self.options)
            for result, other, expected in zip(results, streamed, golden["expected"]):
                with self.subTest(name):
                    self.assertIsNone(result.error)
                    (found,), (wanted,) = result.embeddings, other.embeddings
                    if expected["representation"] is not None:
                        self.assert_close(found.representation, expected["representation"])
                    self.assert_close(found.representation, wanted.representation, 1e-6)
                    texts = golden["texts"] is not None
                    scores = found.text_cosines if texts else found.label_logits
                    self.assert_close(scores, expected["scores"])
                    self.assert_close(scores, wanted.text_cosines if texts else wanted.label_logits, 1e-6)
                    self.assertEqual(result.weights_hash, other.weights_hash)
                    self.assertEqual((result.bytes_received, result.bytes_total), (0, other.bytes_total))
                    self.assertEqual(list(result.backends), ["numpy"])

    def test_probes_are_fetched_once_and_anew_where_their_file_is_damaged(self):
        path, expected = self.world["small"][0]

        def embed():
            # A client of its own: what it has in memory does not count.
            with probestream.connect(self.world["target"]) as client:
                (found,) = client.embed(path, experts="small", **self.options).embeddings
                self.assert_close(found.representation, expected)

        embed()
        embed()
        self.assertEqual(len(self.asked), 1)
        (name,) = os.listdir(self.options["probes"])
        file = os.path.join(self.options["probes"], name)
        with open(file, "rb") as opened:
            sound = opened.read()
        flipped = bytearray(sound)
        flipped[-3] ^= 64
        for damaged in (bytes(flipped), sound[:100], b"", b"no probes"):
            with open(file, "wb") as opened:
                opened.write(damaged)
            self.asked.clear()
            embed()
            self.assertEqual(len(self.asked), 1)
            with open(file, "rb") as opened:
                self.assertEqual(opened.read(), sound)
        self.assertEqual(os.listdir(self.options["probes"]), [name])

    def test_the_folder_is_shared_with_the_typescript_client(self):
        path, expected = self.world["small"][0]
        for folder, fetches in (("kept", 0), ("left", 1)):
            self.asked.clear()
            with probestream.connect(self.world["target"]) as client:
                options = {"local": True, "probes": self.world["probes"][folder]}
                (found,) = client.embed(path, experts="small", **options).embeddings
            self.assert_close(found.representation, expected)
            self.assertEqual(len(self.asked), fetches, folder)

    def test_a_large_layer_has_the_digest_that_streaming_gives_and_tells_its_progress(self):
        seen = []
        result = self.client.embed(
            self.world["large"][0], experts="large", progress=lambda now: seen.append(now.bytes_sent), **self.options
        )
        self.assertEqual(result.weights_hash, self.world["large_hash"])
        self.assertEqual(result.rows_projected, 2500)
        self.assertEqual(max(seen), 2500 * 2100 * 4)

    def test_one_model_s_fault_is_its_own(self):
        path, expected = self.world["small"][1]
        nan = np.zeros((12, 10), np.float32)
        nan[3, 4] = np.nan
        models = [{"m.fc.weight": nan}, path, {"m.fc.weight": np.zeros((12, 9), np.float32)}, {"m.no.weight": nan}]
        results = self.client.embed(models, experts="small", **self.options)
        self.assertEqual(
            [result.error and result.error.reason for result in results],
            ["NON_FINITE", None, "SHAPE_MISMATCH", "LAYER_NOT_FOUND"],
        )
        self.assert_close(results[1].embeddings[0].representation, expected)
        texts = np.ones((1, 3), np.float32)
        self.assert_refused(
            "TEXT_WIDTH_MISMATCH", lambda: self.client.embed(path, experts="small", texts=texts, **self.options)
        )

    def test_it_stops_when_it_is_cancelled_and_says_what_folder_cannot_be_written(self):
        cancel = threading.Event()

        def embed():
            self.client.embed(
                self.world["large"][1], experts="large", cancel=cancel, progress=lambda _: cancel.set(), **self.options
            )

        with self.assertRaises(probestream.ProbestreamError) as caught:
            embed()
        self.assertEqual(caught.exception.code.name, "CANCELLED")
        error = self.assert_refused(
            "ACCESS_DENIED",
            lambda: self.client.embed(self.world["small"][0][0], experts="small", local=True, probes=__file__),
        )
        self.assertIn("choose another folder (probes=)", str(error))


if __name__ == "__main__":
    unittest.main()
