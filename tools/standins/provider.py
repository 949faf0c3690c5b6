# ruff: noqa: N802, D102, ANN001, ANN201, ARG002  names and signatures are those of Pulumi's ResourceProvider service
"""The provider's side of Pulumi's protocol, answered from an SDK's types, a cloud's tables and the live state."""

from __future__ import annotations

import contextlib
import json
import threading
import traceback
from collections.abc import Generator, Iterable, Mapping

import grpc
from pulumi.runtime import proto
from pulumi.runtime.proto import provider_pb2_grpc

from tools.standins import changing, judging
from tools.standins.check import Failure, check, near
from tools.standins.cloud import Cloud, Made
from tools.standins.diff import changes, pattern
from tools.standins.live import FOLDER, Clouds
from tools.standins.sdk import Field, ResourceType, Sdk
from tools.standins.wire import Values, empty, from_struct, plain, to_struct

_KINDS = {
    ("add", False): proto.PropertyDiff.ADD,
    ("add", True): proto.PropertyDiff.ADD_REPLACE,
    ("delete", False): proto.PropertyDiff.DELETE,
    ("delete", True): proto.PropertyDiff.DELETE_REPLACE,
    ("update", False): proto.PropertyDiff.UPDATE,
    ("update", True): proto.PropertyDiff.UPDATE_REPLACE,
}


class Refused(Exception):
    """The cloud would not do it; the message is for the user."""


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider. After `Cancel` nothing is created, updated or deleted any more."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud, self._sdk = cloud, Sdk(cloud.package)
        self._config: Values = {}
        self._planned = judging.Planned()
        self._cancelled = threading.Event()

    # ------------------------------------------------------------ the plugin itself

    def Handshake(self, request, context):
        return proto.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, request, context):
        return proto.PluginInfo(version=self._sdk.version)

    def CheckConfig(self, request, context):
        with _answering(context):
            fields = self._sdk.provider().inputs
            failures = check(self._sdk, fields, _unfolded(fields, plain(from_struct(request.news))))
            return proto.CheckResponse(inputs=request.news, failures=_failures(failures))

    def DiffConfig(self, request, context):
        old = from_struct(request.old_inputs) or from_struct(request.olds)
        changed = changes(old, from_struct(request.news))
        kind = proto.DiffResponse.DIFF_SOME if changed else proto.DiffResponse.DIFF_NONE
        return proto.DiffResponse(changes=kind, diffs=sorted({p.partition(".")[0] for p in changed}))

    def Configure(self, request, context):
        self._config = _unfolded(self._sdk.provider().inputs, plain(from_struct(request.args)))
        return proto.ConfigureResponse(supportsPreview=True, acceptSecrets=True, acceptResources=False)

    def Invoke(self, request, context):
        with _answering(context):
            arguments = plain(from_struct(request.args))
            fields = self._sdk.function(request.tok)
            if fields is None:
                raise Refused(f"the {self._cloud.package} provider has no function {request.tok}")
            wrong = [n for n in arguments if n not in fields and n not in ("version", "pluginDownloadURL")]
            failures = [Failure(n, f"{n} is no argument of it{near(n, list(fields))}") for n in wrong]
            failures += [Failure(n, f"{n} is required") for n in fields if fields[n] and n not in arguments]
            if failures:
                return proto.InvokeResponse(failures=_failures(failures))
            answer = self._cloud.answers.get(request.tok)
            if answer is None:
                raise Refused(f"{request.tok} asks a cloud, and a stand-in has none to ask")
            response = proto.InvokeResponse()
            getattr(response, "return").CopyFrom(to_struct(answer(arguments, self._config)))
            return response

    def Cancel(self, request, context):
        self._cancelled.set()
        return empty()

    # ------------------------------------------------------------ resources

    def Check(self, request, context):
        with _answering(context):
            resource, news = self._resource(request.urn), from_struct(request.news)
            type_, name = _of(request.urn)
            naming = self._cloud.naming(type_)
            if naming is not None:
                news = judging.named(naming, resource, news, from_struct(request.olds), name)
            failures = check(self._sdk, resource.inputs, news)
            if not failures:
                failures = judging.judge(self._cloud, self._made(request.urn, news), self._planned)
            return proto.CheckResponse(inputs=to_struct(news), failures=_failures(failures))

    def Diff(self, request, context):
        with _answering(context):
            type_, _ = _of(request.urn)
            old, new = _old_inputs(request), from_struct(request.news)
            changed = changes(old, new)
            fixed = {path: self._cloud.is_fixed(type_, pattern(path), new) for path in changed}
            replaces = sorted({path for path, needs in fixed.items() if needs})
            return proto.DiffResponse(
                changes=proto.DiffResponse.DIFF_SOME if changed else proto.DiffResponse.DIFF_NONE,
                diffs=sorted({path.partition("[")[0].partition(".")[0] for path in changed}),
                replaces=sorted({path.partition("[")[0].partition(".")[0] for path in replaces}),
                deleteBeforeReplace=bool(replaces) and judging.deletes_first(self._cloud, type_, old, new),
                detailedDiff={
                    path: proto.PropertyDiff(kind=_KINDS[kind, fixed[path]], inputDiff=True)
                    for path, kind in changed.items()
                },
                hasDetailedDiff=True,
            )

    def Create(self, request, context):
        with _answering(context):
            inputs = from_struct(request.properties)
            made = self._made(request.urn, inputs)
            if request.preview:
                outputs = changing.expected(self._cloud, made, inputs)
                return proto.CreateResponse(properties=to_struct(outputs))
            self._refuse_if_cancelled()
            id_, outputs = changing.create(self._cloud, made, inputs, self._clouds(made.type))
            return proto.CreateResponse(id=id_, properties=to_struct(outputs))

    def Update(self, request, context):
        with _answering(context):
            olds, news = from_struct(request.olds), from_struct(request.news)
            old_inputs = _old_inputs(request)
            made = self._made(request.urn, news)
            changing.refuse_unchangeable(self._cloud, made, old_inputs, news)
            if request.preview:
                outputs = changing.expected_update(self._cloud, made, olds, news)
            else:
                self._refuse_if_cancelled()
                outputs = changing.update(
                    self._cloud, made, request.id, (old_inputs, olds, news), self._clouds(made.type)
                )
            return proto.UpdateResponse(properties=to_struct(outputs))

    def Read(self, request, context):
        with _answering(context):
            state, inputs = from_struct(request.properties), from_struct(request.inputs)
            type_, _ = _of(request.urn)
            clouds = Clouds.configured()
            if type_ in self._cloud.local or (clouds is None and state):
                found = state, inputs
            elif clouds is None:
                raise Refused(f"{request.id} can't be read: a stand-in has no cloud to ask")
            else:
                resource = self._resource(request.urn)
                key = type_, request.id
                found = changing.read(self._cloud, resource, key, (state, inputs), clouds)
            if found is None:
                return proto.ReadResponse()
            state, inputs = found
            return proto.ReadResponse(id=request.id, properties=to_struct(state), inputs=to_struct(inputs))

    def Delete(self, request, context):
        with _answering(context):
            self._refuse_if_cancelled()
            type_, _ = _of(request.urn)
            if type_ not in self._cloud.local:
                changing.delete(self._cloud, type_, request.id, request.urn, self._clouds(type_))
            return empty()

    # ------------------------------------------------------------ what they share

    def _resource(self, urn: str) -> ResourceType:
        type_, _ = _of(urn)
        resource = self._sdk.resource(type_)
        if resource is None:
            raise Refused(f"the {self._cloud.package} SDK {self._sdk.version} has no resource {type_}")
        return resource

    def _made(self, urn: str, inputs: Values) -> Made:
        type_, name = _of(urn)
        return Made(
            type=type_,
            name=name,
            urn=urn,
            inputs=plain(inputs),
            config=self._config,
            resource=self._resource(urn),
        )

    def _clouds(self, type_: str) -> Clouds | None:
        if type_ in self._cloud.local:
            return None
        clouds = Clouds.configured()
        if clouds is None:
            raise Refused(
                "a provider stand-in creates nothing real, it serves previews; to deploy, log in to Pulumi and "
                f"install the {self._cloud.package} plugin (in tests: set {FOLDER})"
            )
        return clouds

    def _refuse_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise Refused("cancelled")


# ---------------------------------------------------------------- helpers


def _of(urn: str) -> tuple[str, str]:
    """Type and name of a URN `urn:pulumi:<stack>::<project>::<parents$><type>::<name>`."""
    parts = urn.split("::", 3)
    return parts[2].rpartition("$")[2], parts[3]


def _old_inputs(request: proto.DiffRequest | proto.UpdateRequest) -> Values:
    """What was given last, also where that was nothing; an engine that does not tell tells the outputs."""
    return from_struct(request.old_inputs if request.HasField("old_inputs") else request.olds)


def _failures(failures: Iterable[Failure]) -> list[proto.CheckFailure]:
    """The engine adds type and name. Given the property it would print the value too, which may be secret."""
    return [proto.CheckFailure(reason=f"{f.path}: {f.reason}") for f in failures]


def _unfolded(fields: Mapping[str, Field], config: Values) -> Values:
    """A provider's settings that are no strings arrive as JSON text."""
    unfolded = dict(config)
    for name, value in config.items():
        if name in fields and fields[name].type.kind != "string" and isinstance(value, str):
            with contextlib.suppress(ValueError):
                unfolded[name] = json.loads(value)
    return unfolded


@contextlib.contextmanager
def _answering(context: grpc.ServicerContext) -> Generator[None]:
    """Turns what went wrong into one message for the user; a traceback only for a defect of ours."""
    try:
        yield
    except (Refused, changing.Refused, OSError) as e:
        context.abort(grpc.StatusCode.UNKNOWN, str(e))
    except Exception as e:  # noqa: BLE001  the outermost loop of a request: the engine must get an answer
        traceback.print_exc()
        context.abort(grpc.StatusCode.INTERNAL, f"a defect in the provider stand-in: {e!r}")
