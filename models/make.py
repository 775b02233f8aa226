#!/usr/bin/env python3
"""Makes builtin.safetensors, beside this file, the model that comes with the program, of a run's weights.

    vae train --config configs/builtin.json --data mnist --out runs/builtin
    python3 models/make.py runs/builtin/model.safetensors

It has the same tensors, rounded to half precision, and the same configuration. Needs numpy.
"""
import hashlib
import json
import os
import struct
import sys

import numpy

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "builtin.safetensors")


def read(path):
    """The header of a safetensors file, and its tensors as arrays."""
    content = open(path, "rb").read()
    length, = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + length])
    data = content[8 + length:]
    metadata = header.pop("__metadata__")
    arrays = {name: numpy.frombuffer(data[slice(*of["data_offsets"])], "<f4").reshape(of["shape"])
              for name, of in header.items()}
    return metadata, arrays


def write(path, metadata, arrays):
    """The same in half precision, under a checksum of its own: of all bytes, with zeros in its own place."""
    sealed = json.loads(metadata["vae"])
    sealed["sha256"] = "0" * 64
    header, data = {"__metadata__": {"vae": json.dumps(sealed, separators=(",", ":"))}}, b""
    for name, array in sorted(arrays.items()):
        halves = array.astype("<f2")
        assert numpy.isfinite(halves).all(), name
        header[name] = {"dtype": "F16", "shape": array.shape, "data_offsets": [len(data), len(data) + halves.nbytes]}
        data += halves.tobytes()
    header = json.dumps(header, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    content = struct.pack("<Q", len(header)) + header + data
    digest = hashlib.sha256(content).hexdigest().encode()
    content = content.replace(b"0" * 64, digest, 1)
    open(path, "wb").write(content)
    print(f"{path}: {len(arrays)} tensors, {len(content)} bytes")


if __name__ == "__main__":
    write(FILE, *read(sys.argv[1]))
