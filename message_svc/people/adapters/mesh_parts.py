"""The parts of all services, found in the contracts and called over the mesh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from kit.contracts import generated_pool, installed_contracts
from kit.rpc.mesh import Mesh
from kit.tenant_keys import UserKey
from message_svc.people.ports import Progress
from plaudit.edge.v1 import options_pb2

_ERASES = (options_pb2.PERSONAL_DATA_ERASES_ON_EVERY_NODE, options_pb2.PERSONAL_DATA_ERASES)
_TIMEOUT = 20.0


class MeshErasure:
    """See `ports.ErasurePart`."""

    def __init__(self, mesh: Mesh, method: MethodDescriptor, *, on_every_node: bool) -> None:
        self.name = method.full_name
        self._mesh = mesh
        self._method = method
        self._on_every_node = on_every_node

    async def erase(self, key: UserKey) -> Progress:
        """See `ErasurePart`."""
        addresses = self._mesh.addresses(_service_of(self._method)) if self._on_every_node else ("",)
        erased, is_done = 0, True
        for address in addresses:
            answer = await _call(self._mesh, self._method, key, at=address)
            erased += answer.erased
            is_done &= answer.done
        return Progress(erased, is_done)


class MeshExport:
    """See `ports.ExportPart`."""

    def __init__(self, mesh: Mesh, method: MethodDescriptor) -> None:
        self.name = method.full_name
        self._mesh = mesh
        self._method = method

    async def page(self, key: UserKey, token: str) -> tuple[Sequence[Any], str]:
        """See `ExportPart`."""
        answer = await _call(self._mesh, self._method, key, page_token=token)
        return answer.records, answer.next_page_token


def erasure_parts(mesh: Mesh) -> list[MeshErasure]:
    """The parts in the order in which they are erased: first what is on every node, such as sessions."""
    return [
        MeshErasure(mesh, method, on_every_node=kind == options_pb2.PERSONAL_DATA_ERASES_ON_EVERY_NODE)
        for kind in _ERASES
        for method in methods_with(kind)
    ]


def export_parts(mesh: Mesh) -> list[MeshExport]:
    """The parts of an export."""
    return [MeshExport(mesh, method) for method in methods_with(options_pb2.PERSONAL_DATA_EXPORTS)]


def methods_with(kind: int) -> list[MethodDescriptor]:
    """The rpcs of all contracts that do this with personal data, in the order of their names."""
    files = {file.name: file for file in installed_contracts().file}
    pool = generated_pool(files)
    methods = (
        pool.FindMethodByName(f"{file.package}.{service.name}.{method.name}")
        for file in files.values()
        for service in file.service
        for method in service.method
        if method.options.Extensions[options_pb2.personal_data] == kind
    )
    return sorted(methods, key=lambda method: method.full_name)


async def _call(mesh: Mesh, method: MethodDescriptor, key: UserKey, *, at: str = "", **fields: str) -> Any:
    tenant, user = key
    request = GetMessageClass(method.input_type)(tenant=tenant, user=user, **fields)
    name = f"/{_service_of(method)}/{method.name}"
    response = await mesh.call(name, request, key=user, at=at, tenant=tenant, timeout=_TIMEOUT)
    return GetMessageClass(method.output_type).FromString(response)


def _service_of(method: MethodDescriptor) -> str:
    return str(method.containing_service.full_name)
