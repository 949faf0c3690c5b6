# ruff: noqa: N802, D102, ANN001, ANN201, ARG002  names and signatures are those of Pulumi's ResourceProvider service
"""The provider's side of Pulumi's gRPC protocol: one servicer that hands each request to its kind of resource."""

from __future__ import annotations

import contextlib
import json
import threading
import traceback
from collections.abc import Generator
from typing import Any

import grpc
from pulumi.runtime import proto
from pulumi.runtime.proto import provider_pb2_grpc

from local.plugin import fields
from local.plugin.file import File
from local.plugin.pool import Pool
from local.plugin.process import Process
from local.plugin.resource import OperationError, Resource
from local.plugin.wire import empty, from_struct, to_struct

VERSION = "0.1.0"
RESOURCES: dict[str, Resource] = {r.token: r for r in (Process(), Pool(), File())}

_KINDS = {
    ("add", False): proto.PropertyDiff.ADD,
    ("add", True): proto.PropertyDiff.ADD_REPLACE,
    ("delete", False): proto.PropertyDiff.DELETE,
    ("delete", True): proto.PropertyDiff.DELETE_REPLACE,
    ("update", False): proto.PropertyDiff.UPDATE,
    ("update", True): proto.PropertyDiff.UPDATE_REPLACE,
}


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """`cancelled` is observed by every operation that waits."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    # ------------------------------------------------------------ the plugin itself

    def Handshake(self, request, context):
        """The plugin needs nothing of the engine."""
        return proto.ProviderHandshakeResponse()

    def GetPluginInfo(self, request, context):
        return proto.PluginInfo(version=VERSION)

    def GetSchema(self, request, context):
        return proto.GetSchemaResponse(schema=json.dumps(schema()))

    def CheckConfig(self, request, context):
        return proto.CheckResponse(inputs=request.news)

    def DiffConfig(self, request, context):
        return proto.DiffResponse(changes=proto.DiffResponse.DIFF_NONE)

    def Configure(self, request, context):
        return proto.ConfigureResponse(supportsPreview=True, acceptSecrets=False, acceptResources=False)

    def Invoke(self, request, context):
        reason = f"the tradewind provider has no function {request.tok}"
        return proto.InvokeResponse(failures=[proto.CheckFailure(reason=reason)])

    def Cancel(self, request, context):
        """Ends every wait; the engine sends it once, on the first Ctrl-C, and stops asking for new work."""
        self.cancelled.set()
        return empty()

    # ------------------------------------------------------------ resources

    def Check(self, request, context):
        with _answering(context):
            resource = _resource(request.urn)
            raw = from_struct(request.news)
            inputs, failures = fields.check(resource.fields, resource.outputs, raw, resource.token)
            failures = failures or resource.check(inputs)
            return proto.CheckResponse(
                inputs=to_struct(inputs),
                failures=[proto.CheckFailure(property=f.property, reason=f.reason) for f in failures],
            )

    def Diff(self, request, context):
        with _answering(context):
            resource = _resource(request.urn)
            olds, news = from_struct(request.olds), from_struct(request.news)
            changed = fields.compare(resource.fields, from_struct(request.old_inputs) or olds, news)
            detailed = {
                path: proto.PropertyDiff(kind=_KINDS[kind, field.replaces], inputDiff=True)
                for path, (kind, field) in changed.items()
            }
            for path, kind in resource.drift(olds).items():
                detailed.setdefault(path, proto.PropertyDiff(kind=_KINDS[kind, False]))
            replaces = sorted({field.name for _, field in changed.values() if field.replaces})
            return proto.DiffResponse(
                changes=proto.DiffResponse.DIFF_SOME if detailed else proto.DiffResponse.DIFF_NONE,
                diffs=sorted({path.partition("[")[0] for path in detailed}),
                replaces=replaces,
                deleteBeforeReplace=bool(replaces) and resource.delete_first,
                detailedDiff=detailed,
                hasDetailedDiff=True,
            )

    def Create(self, request, context):
        with _answering(context):
            resource, inputs = _resource(request.urn), from_struct(request.properties)
            if request.preview:
                return proto.CreateResponse(properties=to_struct(resource.preview(inputs)))
            outputs = resource.ensure(inputs, self.cancelled)
            return proto.CreateResponse(id=resource.identify(inputs), properties=to_struct(outputs))

    def Update(self, request, context):
        with _answering(context):
            resource, inputs = _resource(request.urn), from_struct(request.news)
            if request.preview:
                return proto.UpdateResponse(properties=to_struct(resource.preview(inputs)))
            return proto.UpdateResponse(properties=to_struct(resource.ensure(inputs, self.cancelled)))

    def Read(self, request, context):
        with _answering(context):
            resource, known = _resource(request.urn), from_struct(request.properties)
            if not known:
                raise OperationError(f"{resource.token} can't be imported: it is made by this stack only")
            outputs = resource.read(known)
            if outputs is None:
                return proto.ReadResponse()
            return proto.ReadResponse(id=request.id, properties=to_struct(outputs), inputs=request.inputs)

    def Delete(self, request, context):
        with _answering(context):
            _resource(request.urn).delete(from_struct(request.properties))
            return empty()


def schema() -> dict[str, Any]:
    """The package schema: enough for tools that ask what the types look like."""
    return {
        "name": "tradewind",
        "version": VERSION,
        "resources": {t: _schema(r) for t, r in RESOURCES.items()},
    }


# ---------------------------------------------------------------- helpers


@contextlib.contextmanager
def _answering(context: grpc.ServicerContext) -> Generator[None]:
    """Turns what went wrong into one message for the user; a traceback only for a defect of ours."""
    try:
        yield
    except (OperationError, OSError) as e:
        context.abort(grpc.StatusCode.UNKNOWN, str(e))
    except Exception as e:  # noqa: BLE001  the outermost loop of a request: the engine must get an answer
        traceback.print_exc()
        context.abort(grpc.StatusCode.INTERNAL, f"a defect in the tradewind provider: {e!r}")


def _resource(urn: str) -> Resource:
    """The kind of resource that a URN `urn:pulumi:<stack>::<project>::<parents$><type>::<name>` names."""
    token = urn.split("::")[2].rpartition("$")[2]
    try:
        return RESOURCES[token]
    except KeyError:
        raise OperationError(
            f"the tradewind provider has no resource {token}; it has {', '.join(RESOURCES)}"
        ) from None


def _schema(resource: Resource) -> dict[str, Any]:
    inputs = {field.name: fields.schema_type(field) for field in resource.fields}
    return {
        "inputProperties": inputs,
        "requiredInputs": [field.name for field in resource.fields if field.required],
        "properties": {**inputs, **{name: {"type": type_} for name, type_ in resource.outputs.items()}},
    }
