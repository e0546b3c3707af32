"""The rules of protovalidate that the contracts set on fields."""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.contracts.tables import message_class
from kit.contracts import installed_contracts


def rules_of(field: FieldDescriptor) -> Any:
    """The field's rules, a `buf.validate.FieldRules`; empty where there are none."""
    options, rules = _option()
    return options.FromString(field.GetOptions().SerializeToString()).Extensions[rules]


@cache
def _option() -> tuple[Any, Any]:
    """The class of a field's options, and their extension with the rules.

    Both are from validate.proto of the contracts: the generated code does not import it.
    """
    pool = DescriptorPool()
    for file in installed_contracts().file:
        pool.AddSerializedFile(file.SerializeToString())
    options = pool.FindMessageTypeByName("google.protobuf.FieldOptions")
    return message_class(options), pool.FindExtensionByName("buf.validate.field")
