"""What is said of a server that calls do not get through to, without a server."""

import unittest

import grpc
import numpy as np

from probestream import ProbestreamError, connect

NO_TLS = (
    "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Ssl handshake failed: "
    "SSL_ERROR_SSL: error:0A00010B:SSL routines::wrong version number"
)
REFUSED = (
    "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "
    "Failed to connect to remote host: Connection refused"
)
GIVEN_UP = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: tcp handshaker shutdown"


class Failure(grpc.RpcError):
    """A call that is done: it failed as UNAVAILABLE, or brought an answer."""

    def __init__(self, details):
        self._details = details

    def add_done_callback(self, callback):
        callback(self)

    def result(self):
        if self._details is None:
            return "an answer"
        raise self

    def code(self):
        return grpc.StatusCode.UNAVAILABLE

    def details(self):
        return self._details

    def trailing_metadata(self):
        return ()


class Method:
    """A method whose calls end in turn as is said; the last one's end is that of all others."""

    def __init__(self, *details):
        self._details = list(details)

    def future(self, *_, **__):
        return Failure(self._details.pop(0) if len(self._details) > 1 else self._details[0])


class CauseTest(unittest.TestCase):
    def refuse(self, client, method):
        with self.assertRaises(ProbestreamError) as caught:
            client._connection.unary(method, None, safe=False)
        self.assertEqual(caught.exception.reason, "SOURCE_UNAVAILABLE")
        return str(caught.exception)

    def test_what_an_attempt_found_is_said_also_where_later_ones_were_given_up(self):
        for found, said in ((NO_TLS, "speaks no TLS"), (REFUSED, "cannot be reached: Connection refused;")):
            with connect("127.0.0.1:1") as client:
                method = Method(found, GIVEN_UP)
                first = self.refuse(client, method)
                self.assertIn(said, first)
                self.assertEqual(self.refuse(client, method), first)
                self.assertEqual(self.refuse(client, method), first)

    def test_embed_says_what_other_calls_say(self):
        with connect("127.0.0.1:1") as client:
            connection, calls = client._connection, []
            unary = connection.unary

            def failing(method, request, **options):
                calls.append(request)
                return unary(Method(NO_TLS if len(calls) == 1 else GIVEN_UP), request, **options)

            connection.unary = failing
            with self.assertRaises(ProbestreamError) as caught:
                client.embed({"a": np.ones((2, 2), "f4")}, retries=1)
        self.assertGreater(len(calls), 1)
        self.assertIn("speaks no TLS, and this client does; leave `tls` out", str(caught.exception))

    def test_what_was_found_is_forgotten_once_a_call_gets_through(self):
        with connect("127.0.0.1:1") as client:
            self.assertIn("speaks no TLS", self.refuse(client, Method(NO_TLS)))
            self.assertEqual(client._connection.unary(Method(None), None), "an answer")
            self.assertNotIn("TLS", self.refuse(client, Method(GIVEN_UP)))

    def test_of_what_grpcio_says_the_cause_alone_is_shown(self):
        for details, cause in (
            (REFUSED, "Connection refused"),
            (REFUSED.replace("ipv4:127.0.0.1:1", "ipv6:%5B::1%5D:1"), "Connection refused"),
            (REFUSED.replace("Failed to connect to remote host", "connect"), "Connection refused"),
            (GIVEN_UP, "the connection was given up before it was made"),
            ("DNS resolution failed for a:1", "DNS resolution failed for a:1"),
        ):
            with connect("127.0.0.1:1") as client:
                said = self.refuse(client, Method(details))
                self.assertIn(f"127.0.0.1:1 cannot be reached: {cause}; is `probestream serve` running", said)


if __name__ == "__main__":
    unittest.main()
