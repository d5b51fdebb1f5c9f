from . import numpy


def save_file(tensors, filename, metadata=None):
    assert all(tensor.is_contiguous for tensor in tensors.values())
    numpy.save_file({name: tensor.array for name, tensor in tensors.items()}, filename, metadata)
