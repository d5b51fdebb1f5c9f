"""The server that a test talks to, and what is right; test/clients/python.test.ts starts it and writes this file."""

import json
import os
import unittest
from functools import lru_cache

import numpy as np

import probestream


@lru_cache(maxsize=1)
def read_world():
    """What the environment says of the server; skips the test where there is none."""
    path = os.environ.get("PROBESTREAM_TEST_WORLD")
    if path is None:
        raise unittest.SkipTest("no server: run these tests with `npx ava dist/test/clients/python.test.js`")
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def relative_error(found, expected):
    """Relative L2 distance."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


class ServerCase(unittest.TestCase):
    """A test with a client."""

    def setUp(self):
        self.world = read_world()
        self.client = probestream.connect(self.world["target"])
        self.addCleanup(self.client.close)

    def assert_close(self, found, expected, tolerance=1e-5):
        self.assertLessEqual(relative_error(found, expected), tolerance)

    def assert_refused(self, reason, work):
        with self.assertRaises(probestream.ProbestreamError) as caught:
            work()
        self.assertEqual(caught.exception.reason, reason, str(caught.exception))
        return caught.exception
