"""Uploads: plans, streams, and what is done when they break."""
