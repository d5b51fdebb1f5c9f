"""Projection of layers in this process, for weights that must not leave it."""
