import json

import numpy as np


def save_file(tensor_dict, filename, metadata=None):
    header = {} if metadata is None else {"__metadata__": metadata}
    data = b""
    for name, array in tensor_dict.items():
        assert isinstance(array, np.ndarray) and array.dtype == np.float32
        begin, data = len(data), data + array.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    with open(filename, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + data)
