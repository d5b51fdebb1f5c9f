"""What the calls are said to take and to give, in signatures, types and docstrings."""

import inspect
import re
import typing
import unittest

import probestream
from probestream import Client, connect

CALLS = {
    "connect": connect,
    **{name: call for name, call in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")},
}


def options_of(call):
    """Names of what a call can be given by name and need not be, and of what must be named."""
    parameters = inspect.signature(call).parameters.values()
    return [one.name for one in parameters if one.kind is one.KEYWORD_ONLY or one.default is not one.empty]


class SignatureTest(unittest.TestCase):
    def test_a_misspelt_option_names_the_call_and_the_options_there_are(self):
        with connect("127.0.0.1:1") as client:
            for name, call in CALLS.items():
                options = options_of(call)
                if options:
                    bound = call if name == "connect" else getattr(client, name)
                    with self.assertRaises(TypeError) as caught:
                        bound("a", locl=True)
                    said = f'{name}() has no option "locl"; it has {", ".join(options)}'
                    self.assertEqual(str(caught.exception), said)
        self.assertEqual(options_of(Client.embed)[0], "experts")
        self.assertIn("local", options_of(Client.embed))

    def test_no_call_takes_or_gives_just_anything(self):
        for name, call in CALLS.items():
            hints = typing.get_type_hints(call)
            self.assertIn("return", hints, name)
            for what, hint in hints.items():
                self.assertIsNot(hint, typing.Any, f"{what} of {name}")
            for parameter in inspect.signature(call).parameters.values():
                self.assertNotIn(parameter.kind, (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL), name)

    def test_docstrings_tell_every_option(self):
        self.assertEqual(options_of(Client.embed_iter), options_of(Client.embed))
        for name, call in CALLS.items():
            if name == "embed_iter":
                self.assertIn("options: those of `embed`", inspect.getdoc(call))
                continue
            for option in options_of(call):
                found = re.search(rf"^ +{option}: \S", inspect.getdoc(call), re.MULTILINE)
                self.assertIsNotNone(found, f"{option} of {name}")

    def test_types_that_signatures_name_can_be_imported(self):
        self.assertIn(str, typing.get_args(probestream.ModelSource))


if __name__ == "__main__":
    unittest.main()
