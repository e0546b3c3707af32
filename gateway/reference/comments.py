"""The comments of the contracts, with the summaries, examples and failures in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)
from google.protobuf.message import Message

_EXAMPLE = re.compile(r"[Ff]or example `(?P<example>[^`]+)`")
_CAPITALS = re.compile(r"`(?P<name>[A-Z][A-Z_]+[A-Z])`")
_SENTENCE = re.compile(r"(?P<first>.+?\.)(?:\s|$)", re.DOTALL)
_CHANGE_PREFIXES = ("All changes ", "Every change ")
# Field numbers in descriptor.proto, which the paths of comments are made of.
_PACKAGE = 2


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure of a call: the gRPC code, and the reason."""

    code: grpc.StatusCode
    reason: str


class Comments:
    """The comments of contracts, by full name or file; "" where there is none."""

    def __init__(self, contracts: Sequence[FileDescriptorSet]) -> None:
        self._texts: dict[str, str] = {}
        for image in contracts:
            for file in image.file:
                self._texts.update(_texts(file))
        self._by_name: dict[str, str] = {}
        for full_name in self._texts:
            if (example := self.example(full_name)) is not None:
                self._by_name.setdefault(full_name.rpartition(".")[2], example)

    def of(self, full_name: str) -> str:
        """The comment of an element of a contract by its full name, or of a file by its path; paragraphs as
        Markdown."""
        return self._texts.get(full_name, "")

    def summary(self, full_name: str) -> str:
        """The first sentence of a comment, without the full stop."""
        found = _SENTENCE.match(self.of(full_name))
        return (found["first"] if found else self.of(full_name)).rstrip(".")

    def rest(self, full_name: str) -> str:
        """The comment after its first sentence."""
        found = _SENTENCE.match(self.of(full_name))
        return self.of(full_name)[found.end() :].strip() if found else ""

    def example(self, full_name: str) -> str | None:
        """The example value in a comment."""
        found = _EXAMPLE.search(self.of(full_name))
        return found["example"] if found else None

    def example_of_name(self, name: str) -> str | None:
        """The example of another field of this name, for fields without an example."""
        return self._by_name.get(name)

    def failures(self, full_name: str) -> Sequence[Failure]:
        """The failures that the comment of a method or a frame states."""
        return read_failures(self.of(full_name))

    def failures_of_call(self, method: str, is_change: bool) -> Sequence[Failure]:
        """The same with the failures that the comment of the service states for all its methods; `method` is a full
        name.

        A paragraph that begins with `All changes` applies to methods that are not reads.
        """
        service = self.of(method.rpartition(".")[0])
        paragraphs = [
            paragraph for paragraph in service.split("\n\n") if is_change or not paragraph.startswith(_CHANGE_PREFIXES)
        ]
        found = (*self.failures(method), *(failure for text in paragraphs for failure in read_failures(text)))
        return tuple(dict.fromkeys(found))


def read_failures(text: str) -> Sequence[Failure]:
    """The failures in a text: a code such as `ABORTED`, followed by its reasons."""
    failures = []
    code: grpc.StatusCode | None = None
    bare = False
    for found in _CAPITALS.finditer(text):
        name = found["name"]
        if name in grpc.StatusCode.__members__:
            if bare and code is not None:
                failures.append(Failure(code, ""))
            code = grpc.StatusCode[name]
            bare = code is not grpc.StatusCode.OK
        elif code is not None:
            failures.append(Failure(code, name))
            bare = False
    if bare and code is not None:
        failures.append(Failure(code, ""))
    return tuple(dict.fromkeys(failures))


def _texts(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    names = dict(_names(file))
    for location in file.source_code_info.location:
        name = names.get(tuple(location.path))
        if name is not None and location.leading_comments:
            yield name, _paragraphs(location.leading_comments)


def _paragraphs(comment: str) -> str:
    # Lists keep their lines; other paragraphs become one line.
    lines = [line.removeprefix(" ").rstrip() for line in comment.strip("\n").split("\n")]
    blocks = "\n".join(lines).strip().split("\n\n")
    return "\n\n".join(block if block.lstrip().startswith("- ") else " ".join(block.split()) for block in blocks)


def _names(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    """The path of each element of a file, as in `source_code_info`, and its full name."""
    # A package has a comment in each of its files.
    yield (_PACKAGE,), file.name
    yield from _inside(file, file.package, ())


def _inside(parent: Any, scope: str, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    for number, member in _members(type(parent)):
        for index, child in enumerate(getattr(parent, member)):
            name, at = f"{scope}.{child.name}", (*path, number, index)
            yield at, name
            yield from _inside(child, name, at)


_MEMBERS: Mapping[type[Message], Sequence[str]] = {
    FileDescriptorProto: ("message_type", "enum_type", "service"),
    DescriptorProto: ("field", "nested_type", "enum_type", "oneof_decl"),
    EnumDescriptorProto: ("value",),
    ServiceDescriptorProto: ("method",),
}


def _members(kind: type[Message]) -> Iterable[tuple[int, str]]:
    """The fields of a descriptor's own message that have comments, with their numbers."""
    return ((kind.DESCRIPTOR.fields_by_name[name].number, name) for name in _MEMBERS.get(kind, ()))
