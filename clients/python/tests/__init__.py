"""Tests of the client; see README.md."""
