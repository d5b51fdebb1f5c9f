"""Files, URLs and arrays, without a server."""

import http.server
import json
import os
import struct
import tempfile
import threading
import time
import unittest

import grpc
import numpy as np

from probestream import ProbestreamError
from probestream.sources.array_model import ArrayModel
from probestream.sources.open_model import open_model
from probestream.stopping import Stop


def encode(tensors, metadata=None):
    """A safetensors file of float32 arrays."""
    header, at = {} if metadata is None else {"__metadata__": metadata}, 0
    for name, array in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in tensors.values())


ARRAYS = {"a": np.arange(60_000, dtype="<f4").reshape(300, 200), "b": np.ones((2, 3), "<f4")}


def read(model, name, begin, end, chunk_bytes=1000):
    return b"".join(bytes(piece) for piece in model.stream(name, begin, end, chunk_bytes, Stop()))


class FileTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def assert_refused(self, reason, source):
        with self.assertRaises(ProbestreamError) as caught:
            open_model(source, "model", {}, Stop()).close()
        self.assertEqual(caught.exception.reason, reason, str(caught.exception))

    def test_ranges_are_read_at_every_chunk_size(self):
        path = self.write("a.safetensors", encode(ARRAYS, {"made": "here"}))
        model = open_model(path, "", {}, Stop())
        self.addCleanup(model.close)
        self.assertEqual(dict(model.metadata), {"made": "here"})
        expected = ARRAYS["a"].tobytes()
        for chunk_bytes in (7, 1000, 240_000, 10**6):
            self.assertEqual(read(model, "a", 800, 239_000, chunk_bytes), expected[800:239_000])

    def test_files_that_are_cut_are_refused_wherever_they_are_cut(self):
        whole = encode({"b": ARRAYS["b"]})
        for length in range(len(whole)):
            with self.subTest(length):
                self.assert_refused("HEADER_MALFORMED", whole[:length])

    def test_headers_that_lie_are_refused(self):
        def with_header(header, data=b"\0" * 8):
            text = json.dumps(header).encode() if isinstance(header, dict) else header
            return struct.pack("<Q", len(text)) + text + data

        entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
        self.assertEqual(list(open_model(with_header({"a": entry}), "", {}, Stop()).tensors), ["a"])
        for header in (
            {"a": {**entry, "shape": [3]}},
            {"a": {**entry, "shape": [-2]}},
            {"a": {**entry, "shape": [True, 2]}},
            {"a": {**entry, "data_offsets": [8, 0]}},
            {"a": {**entry, "data_offsets": [0, 4]}, "b": {**entry, "data_offsets": [2, 8]}},
            {"a": {**entry, "more": 1}},
            {"a": entry, "__metadata__": {"x": 1}},
            b'{"a": ' + json.dumps(entry).encode() + b', "a": ' + json.dumps(entry).encode() + b"}",
            {"a\ud800": entry},
            {"a": {**entry, "shape": [2**53 - 1] * 20}},
            {"a": {**entry, "shape": [1] * 16 + [2]}},
            b"[" * 100_000,
        ):
            self.assert_refused("HEADER_MALFORMED", with_header(header))

    def test_other_formats_are_refused_with_a_way_out(self):
        for name, data in {"m.safetensors": b"\x80\x02}q\0.", "m.bin": b"", "m.pt": b"PK\x03\x04" + b"\0" * 99}.items():
            self.assert_refused("FORMAT_REFUSED", self.write(name, data))

    def test_the_scale_of_an_adapter_travels_with_it(self):
        path = self.write("adapter_model.safetensors", encode({"b": ARRAYS["b"]}))
        self.write("adapter_config.json", b'{"r": 8}')
        model = open_model(path, "", {}, Stop())
        self.addCleanup(model.close)
        self.assertEqual(model.metadata["peft.adapter_config"], '{"r": 8}')

    def test_an_index_that_is_no_text_is_refused(self):
        for index in ({"weight_map": {"a": "\ud800"}}, {"weight_map": {"a": "b"}, "metadata": {"a": "\ud800"}}):
            self.assert_refused("HEADER_MALFORMED", self.write("m.safetensors.index.json", json.dumps(index).encode()))

    def test_a_folder_of_several_models_names_them(self):
        for name in ("x.safetensors", "y.safetensors"):
            self.write(name, encode({"b": ARRAYS["b"]}))
        self.assert_refused("FIELD_INVALID", self.folder)

    def test_a_file_that_is_written_to_meanwhile_is_told(self):
        path = self.write("a.safetensors", encode(ARRAYS))
        model = open_model(path, "", {}, Stop())
        self.addCleanup(model.close)
        os.utime(path, (1, 1))
        with self.assertRaises(ProbestreamError) as caught:
            read(model, "a", 0, 1000)
        self.assertEqual(caught.exception.reason, "CORRUPT")

    def test_a_server_that_wants_what_is_not_there_is_told(self):
        path = self.write("a.safetensors", encode(ARRAYS))
        for model in (open_model(path, "", {}, Stop()), ArrayModel(ARRAYS, "arrays")):
            self.addCleanup(model.close)
            for name, begin, end in (("c", 0, 1), ("b", 0, 25), ("b", -1, 4), ("b", 8, 4)):
                with self.subTest(name), self.assertRaises(ProbestreamError) as caught:
                    read(model, name, begin, end)
                self.assertEqual(caught.exception.reason, "LAYER_NOT_FOUND")

    def test_a_path_that_can_be_none_is_refused(self):
        self.assert_refused("FIELD_INVALID", "a\0b")

    def test_arrays_are_looked_at_when_they_are_wanted(self):
        model = ArrayModel({"a": ARRAYS["a"], "turned": ARRAYS["a"].T}, "arrays")
        view = next(model.stream("a", 0, 1000, 1000, Stop()))
        self.assertTrue(np.shares_memory(np.frombuffer(view, "<f4"), ARRAYS["a"]))
        self.assertEqual(read(model, "turned", 0, 240_000), ARRAYS["a"].T.tobytes())
        with self.assertRaises(ProbestreamError):
            ArrayModel({"a": "text"}, "arrays")


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ranges of one file, with faults."""

    data = encode(ARRAYS)
    seen = []
    cut = 0
    etag = '"1"'
    let_go = threading.Event()
    odd = {}

    def do_GET(self):
        Handler.seen.append((self.path, self.headers.get("authorization")))
        if self.path == "/silent":
            Handler.let_go.wait(10)
            return
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("location", f"http://localhost:{self.server.server_port}/file")
            self.end_headers()
            return
        if Handler.odd:
            self.send_response(Handler.odd.pop("status"))
            for name, value in Handler.odd.items():
                self.send_header(name, value)
            self.end_headers()
            Handler.odd = {}
            self.close_connection = True
            return
        begin, last = map(int, self.headers["range"][len("bytes=") :].split("-"))
        part = self.data[begin : last + 1]
        self.send_response(206)
        self.send_header("content-range", f"bytes {begin}-{begin + len(part) - 1}/{len(self.data)}")
        self.send_header("content-length", str(len(part)))
        self.send_header("etag", Handler.etag)
        self.end_headers()
        if Handler.cut > 0 and begin > 0:
            Handler.cut -= 1
            part = part[: len(part) // 2]
        self.wfile.write(part)
        self.close_connection = True

    def log_message(self, *_):
        pass


class UrlTest(unittest.TestCase):
    def setUp(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.origin = f"http://127.0.0.1:{server.server_port}"
        Handler.seen, Handler.cut, Handler.etag = [], 0, '"1"'

    def open(self, path, headers=None):
        model = open_model(self.origin + path, "", headers or {}, Stop())
        self.addCleanup(model.close)
        return model

    def test_only_what_is_wanted_is_read_and_breaks_are_gone_over(self):
        model = self.open("/file")
        Handler.cut = 2
        self.assertEqual(read(model, "a", 0, 240_000, 100_000), ARRAYS["a"].tobytes())
        self.assertEqual(Handler.cut, 0)
        self.assertIsNotNone(model.identity)

    def test_a_server_that_does_not_answer_is_left_once_the_work_stops(self):
        Handler.let_go.clear()
        self.addCleanup(Handler.let_go.set)
        stop = Stop(timeout=0.3)
        threading.Timer(0.4, lambda: stop.reason).start()
        began = time.monotonic()
        with self.assertRaises(ProbestreamError) as caught:
            open_model(self.origin + "/silent", "", {}, stop)
        self.assertEqual(caught.exception.code, grpc.StatusCode.DEADLINE_EXCEEDED)
        self.assertLess(time.monotonic() - began, 3)

    def test_addresses_may_have_letters_of_any_script_and_blanks(self):
        self.assertEqual(read(self.open("/模型 ü%20?a=ü"), "b", 0, 24), ARRAYS["b"].tobytes())
        self.assertEqual(Handler.seen[0][0], "/%E6%A8%A1%E5%9E%8B%20%C3%BC%20?a=%C3%BC")

    def test_what_cannot_be_asked_for_is_refused_at_once_and_keeps_its_secrets(self):
        for url, headers in (
            ("http://[::1/a", {}),
            ("http://host:port/a", {}),
            ("http:///a", {}),
            (self.origin + "/file", {"authorization": "Bearer secret\n"}),
            (self.origin + "/file", {"x": "secret 模"}),
        ):
            with self.subTest(url), self.assertRaises(ProbestreamError) as caught:
                open_model(url, "", headers, Stop())
            self.assertEqual(caught.exception.reason, "FIELD_INVALID")
            self.assertNotIn("secret", str(caught.exception))

    def test_answers_that_make_no_sense_stop_nothing_but_themselves(self):
        for odd in (
            {"status": 200, "content-length": "many"},
            {"status": 206, "content-range": "bytes 0-1/" + "9" * 5000},
            {"status": 503, "retry-after": "²"},
        ):
            Handler.odd = dict(odd)
            with self.subTest(odd["status"]):
                try:
                    self.open("/file")
                except ProbestreamError as error:
                    self.assertIn(error.reason, ("HEADER_MALFORMED", "SOURCE_UNAVAILABLE"))

    def test_a_token_is_not_sent_on_to_another_server(self):
        self.open("/moved", {"Authorization": "Bearer secret"})
        self.assertEqual(Handler.seen, [("/moved", "Bearer secret"), ("/file", None)])

    def test_a_file_that_changes_meanwhile_is_told(self):
        model = self.open("/file")
        Handler.etag = '"2"'
        with self.assertRaises(ProbestreamError) as caught:
            read(model, "a", 200_000, 240_000)
        self.assertEqual(caught.exception.reason, "CORRUPT")


if __name__ == "__main__":
    unittest.main()
