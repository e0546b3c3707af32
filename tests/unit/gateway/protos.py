"""Contracts compiled while a test runs."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from plaudit.edge.v1 import options_pb2

ROOT = Path(options_pb2.__file__).parents[4]


def compile_proto(folder: Path, name: str, source: str, *, python: bool = False) -> FileDescriptorSet:
    """Compiles a contract that may import those of the system; with `python` also writes its stubs to the folder."""
    (folder / name).write_text(source)
    image = folder / "image.binpb"
    googleapis = Path(str(files("google.api"))).parent.parent
    includes = [folder, ROOT / "proto", googleapis, Path(str(files("grpc_tools"))) / "_proto"]
    # validate.proto is only in the installed set.
    options = [
        f"--descriptor_set_in={ROOT / 'gen' / 'plaudit' / 'plaudit.protoset'}",
        *(f"--proto_path={path}" for path in includes),
    ]
    command = ["protoc", *options, "--include_imports", f"--descriptor_set_out={image}", name]
    assert protoc.main(command) == 0
    if python:
        assert protoc.main(["protoc", *options, f"--python_out={folder}", f"--grpc_python_out={folder}", name]) == 0
    return FileDescriptorSet.FromString(image.read_bytes())
