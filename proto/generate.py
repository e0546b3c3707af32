"""Writes gen/: messages, stubs, typed stubs and the protoset, from the contracts in proto/."""

from __future__ import annotations

import shutil
import sys
import tempfile
from importlib import import_module
from importlib.resources import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
WELL_KNOWN = Path(str(files("grpc_tools"))) / "_proto"
GOOGLEAPIS = Path(str(files("google.api"))).parent.parent
SCRIPTS = Path(sys.executable).parent
VALIDATE = "buf/validate/validate.proto"
DETAILS = "google/rpc/error_details.proto"
"""The messages in the details of errors, which no contract imports: stubs of other languages read reasons with them."""


def validate_image(into: Path) -> Path:
    """Writes a descriptor set with validate.proto, which the protovalidate wheel holds only inside its own module."""
    validate_pb = import_module("protovalidate._gen.buf.validate.validate_pb")
    image = FileDescriptorSet()
    image.file.add().ParseFromString(validate_pb.desc().proto.to_binary())
    for name in ("descriptor", "duration", "field_mask", "timestamp"):
        module = import_module(f"google.protobuf.{name}_pb2")
        module.DESCRIPTOR.CopyToProto(image.file.add())
    path = into / "validate.binpb"
    path.write_bytes(image.SerializeToString())
    return path


def generate(out: Path) -> None:
    """Writes everything under `out`; raises SystemExit with protoc's code where a contract does not compile."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    package = out / "plaudit"
    package.mkdir(parents=True, exist_ok=True)
    (package / "py.typed").touch()
    protoset = package / "plaudit.protoset"
    with tempfile.TemporaryDirectory() as scratch:
        image = validate_image(Path(scratch))
        run_protoc(
            *(f"--proto_path={path}" for path in (PROTO, GOOGLEAPIS, WELL_KNOWN)),
            f"--descriptor_set_in={image}",
            "--include_imports",
            "--include_source_info",
            f"--descriptor_set_out={protoset}",
            DETAILS,
            *sources,
        )
        stubs = Path(scratch, "stubs.binpb")
        stubs.write_bytes(without_import(VALIDATE, protoset.read_bytes()))
        run_protoc(
            f"--descriptor_set_in={stubs}",
            *(f"--plugin=protoc-gen-{name}={SCRIPTS / f'protoc-gen-{name}'}" for name in ("mypy", "mypy_grpc")),
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            f"--mypy_out=quiet:{out}",
            f"--mypy_grpc_out=quiet:{out}",
            *sources,
        )


def without_import(name: str, protoset: bytes) -> bytes:
    """The protoset with no file importing `name`, of which only options are used; these stay, as bytes.

    Python code generated from it does not import the module of `name`. Several distributions have a module
    `buf.validate` of their own, and the pool of descriptors takes only one `buf/validate/validate.proto`.
    """
    files = FileDescriptorSet.FromString(protoset)
    for file in files.file:
        if name in file.dependency:
            public = [file.dependency[index] for index in file.public_dependency]
            file.dependency.remove(name)
            file.public_dependency[:] = [list(file.dependency).index(one) for one in public]
    return files.SerializeToString()


def run_protoc(*arguments: str) -> None:
    """Raises SystemExit with its code where protoc fails."""
    if code := protoc.main(["protoc", *arguments]):
        raise SystemExit(code)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "gen"
    shutil.rmtree(target / "plaudit", ignore_errors=True)
    target.mkdir(exist_ok=True)
    generate(target)
