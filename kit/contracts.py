"""The contracts that are installed, as a set of descriptors and as generated code."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from plaudit.edge.v1 import options_pb2


def installed_contracts() -> FileDescriptorSet:
    """The contracts this process was built with: `plaudit.protoset` of the generated code."""
    path = Path(options_pb2.__file__).parents[2] / "plaudit.protoset"
    return FileDescriptorSet.FromString(path.read_bytes())


def generated_pool(files: Iterable[str]) -> DescriptorPool:
    """The pool of the generated code of these files, whose message classes the services of this process have too."""
    for name in files:
        if name.startswith("plaudit/"):
            import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    return descriptor_pool.Default()
