"""Projection in NumPy, beside the definition: Z = V X U."""

import hashlib
import struct
import unittest

import numpy as np

from probestream.errors import ProbestreamError
from probestream.gen.v1 import embedding_service_pb2, types_pb2
from probestream.projection.probe_cache import Probes
from probestream.projection.project import project
from probestream.projection.widen import widen

RANDOM = np.random.default_rng(7)
SPACE = "a" * 64


def numbers(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def to_bytes(values, dtype):
    if dtype == types_pb2.DTYPE_BF16:
        return (np.asarray(values, np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    names = {types_pb2.DTYPE_F32: "<f4", types_pb2.DTYPE_F16: "<f2", types_pb2.DTYPE_F64: "<f8"}
    return np.asarray(values).astype(names[dtype]).tobytes()


def project_one(tensors, probes, piece=1000):
    """Sums of one expert; tensors are (role, shape, dtype, bytes, first byte, one past the last)."""
    plan = embedding_service_pb2.PlannedModel()
    target = plan.targets.add(space_id=SPACE)
    data = {}
    for index, (role, shape, dtype, content, begin, end) in enumerate(tensors):
        name = f"t{index}"
        data[name] = content
        plan.tensors.add(tensor={"name": name, "dtype": dtype, "shape": shape}, begin_byte=begin, end_byte=end)
        target.uses.add(role=role, tensor_index=index)

    def read(name, begin, end):
        for at in range(begin, end, piece):
            yield memoryview(data[name])[at : min(end, at + piece)]

    states, digest, rows = project(plan, {SPACE: probes}, read)
    return states[0], digest, rows


def whole(role, values, dtype=types_pb2.DTYPE_F32, shape=None):
    content = to_bytes(values, dtype)
    return (role, values.shape if shape is None else shape, dtype, content, 0, len(content))


def to_probes(kind, layout, rows, columns, sliced=None):
    return Probes(SPACE, kind, layout, sliced, numbers(columns, 4), numbers(3, rows))


class ProjectTest(unittest.TestCase):
    def assert_close(self, found, expected):
        error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
        self.assertLessEqual(error, 1e-6)
        self.assertEqual(found.dtype, np.float32)

    def exact(self, probes, x):
        return probes.v.astype(np.float64) @ np.asarray(x, np.float64) @ probes.u.astype(np.float64)

    def test_dense_layers_of_every_type_and_cut(self):
        for dtype in (types_pb2.DTYPE_F64, types_pb2.DTYPE_F32, types_pb2.DTYPE_F16, types_pb2.DTYPE_BF16):
            for piece in (1, 7, 100_000):
                with self.subTest(dtype=dtype, piece=piece):
                    x, probes = numbers(40, 30), to_probes("dense", "linear", 40, 30)
                    tensor = whole(types_pb2.TENSOR_ROLE_WEIGHT, x, dtype)
                    state, digest, rows = project_one([tensor], probes, piece)
                    self.assert_close(state["z"], self.exact(probes, widen(tensor[3], dtype).reshape(40, 30)))
                    segments = hashlib.sha256(tensor[3]).digest()
                    self.assertEqual(digest, hashlib.sha256(segments).digest())
                    self.assertEqual(rows, 40)

    def test_slices_transposed_convolutions_and_vectors(self):
        packed, probes = numbers(60, 30), to_probes("dense", "linear", 20, 30, (20, 40))
        tensor = (types_pb2.TENSOR_ROLE_WEIGHT, (60, 30), types_pb2.DTYPE_F32, packed.tobytes(), 20 * 120, 40 * 120)
        self.assert_close(project_one([tensor], probes)[0]["z"], self.exact(probes, packed[20:40]))

        stored, probes = numbers(30, 50), to_probes("dense", "transposed", 50, 30)
        tensor = whole(types_pb2.TENSOR_ROLE_WEIGHT, stored)
        self.assert_close(project_one([tensor], probes)[0]["z"], self.exact(probes, stored.T))
        probes = to_probes("dense", "transposed", 15, 30, (10, 25))
        self.assert_close(project_one([tensor], probes)[0]["z"], self.exact(probes, stored.T[10:25]))

        kernel, probes = numbers(8, 3, 3, 3), to_probes("dense", "conv", 27, 8)
        state = project_one([whole(types_pb2.TENSOR_ROLE_WEIGHT, kernel)], probes)[0]
        self.assert_close(state["z"], self.exact(probes, kernel.reshape(27, 8)))

        bias, probes = numbers(40), to_probes("dense", "vector", 40, 1)
        state = project_one([whole(types_pb2.TENSOR_ROLE_WEIGHT, bias)], probes)[0]
        self.assert_close(state["z"], self.exact(probes, bias.reshape(40, 1)))

    def test_scales_of_8_bit_weights(self):
        for scale in (numbers(40, 1), numbers(1)):
            codes = RANDOM.integers(0, 120, (40, 30)).astype(np.uint8)
            probes = to_probes("dense", "linear", 40, 30)
            weight = (types_pb2.TENSOR_ROLE_WEIGHT, (40, 30), types_pb2.DTYPE_F8_E4M3, codes.tobytes(), 0, 1200)
            state = project_one([whole(types_pb2.TENSOR_ROLE_WEIGHT_SCALE, scale), weight], probes)[0]
            x = widen(codes.tobytes(), types_pb2.DTYPE_F8_E4M3).reshape(40, 30) * scale.reshape(-1, 1)
            self.assert_close(state["z"], self.exact(probes, x))

    def test_lora_factors_and_alpha(self):
        down, up, probes = numbers(5, 30), numbers(40, 5), to_probes("lora", "linear", 40, 30)
        alpha = np.asarray(2.5, np.float32)
        tensors = [
            whole(types_pb2.TENSOR_ROLE_LORA_ALPHA, alpha, shape=()),
            whole(types_pb2.TENSOR_ROLE_LORA_DOWN, down),
            whole(types_pb2.TENSOR_ROLE_LORA_UP, up),
        ]
        state = project_one(tensors, probes)[0]
        self.assert_close(state["vb"], probes.v.astype(np.float64) @ up)
        self.assert_close(state["au"], down.astype(np.float64) @ probes.u)
        self.assertEqual(state["alpha"].tolist(), [[2.5]])
        self.assertEqual(set(project_one(tensors[1:], probes)[0]), {"vb", "au"})

    def test_numbers_that_are_not_finite_are_named(self):
        x, probes = numbers(40, 30), to_probes("dense", "linear", 20, 30, (20, 40))
        x[25, 7] = np.inf
        tensor = (types_pb2.TENSOR_ROLE_WEIGHT, (40, 30), types_pb2.DTYPE_F32, x.tobytes(), 20 * 120, 40 * 120)
        with self.assertRaises(ProbestreamError) as caught:
            project_one([tensor], probes)
        self.assertEqual(caught.exception.reason, "NON_FINITE")
        self.assertIn('tensor "t0" has inf at row 25, column 7;', str(caught.exception))


class WidenTest(unittest.TestCase):
    def test_all_8_bit_numbers_are_those_of_their_formats(self):
        codes = bytes(range(256))
        for dtype, exponents, mantissas in ((types_pb2.DTYPE_F8_E4M3, 4, 3), (types_pb2.DTYPE_F8_E5M2, 5, 2)):
            found = widen(codes, dtype)
            bias = 2 ** (exponents - 1) - 1
            for code, value in enumerate(found):
                exponent, mantissa = code >> mantissas & 2**exponents - 1, code & 2**mantissas - 1
                sign = -1 if code > 127 else 1
                special = code & 0x7F == 0x7F if dtype == types_pb2.DTYPE_F8_E4M3 else exponent == 31
                if special:
                    self.assertFalse(np.isfinite(value))
                elif exponent == 0:
                    self.assertEqual(value, sign * mantissa * 2.0 ** (1 - bias - mantissas))
                else:
                    self.assertEqual(value, sign * (2**mantissas + mantissa) * 2.0 ** (exponent - bias - mantissas))

    def test_16_bits_are_widened_exactly(self):
        self.assertEqual(widen(struct.pack("<H", 0x3FC0), types_pb2.DTYPE_BF16).tolist(), [1.5])
        self.assertEqual(widen(struct.pack("<e", -0.1), types_pb2.DTYPE_F16).tolist(), [float(np.float16(-0.1))])


if __name__ == "__main__":
    unittest.main()
