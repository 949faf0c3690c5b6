"""A stand-in as the engine sees it, without a process between: each method is one request."""

from __future__ import annotations

from pulumi.runtime import proto

from tools.standins.clouds import cloud
from tools.standins.provider import Provider
from tools.standins.wire import from_struct, to_struct

EMPTY = {}


class Aborted(Exception):
    """The answer was an error."""


class Context:
    def abort(self, _code, details):
        raise Aborted(details)


class Plugin:
    def __init__(self, package, **config):
        self.provider = Provider(cloud(package))
        self.provider.Configure(proto.ConfigureRequest(args=to_struct(config)), Context())

    def check(self, type_, inputs, olds=EMPTY, name="it"):
        """The arguments as the provider completes them, and why it refuses them."""
        request = proto.CheckRequest(urn=urn(type_, name), news=to_struct(inputs), olds=to_struct(olds))
        answer = self.provider.Check(request, Context())
        return from_struct(answer.inputs), [failure.reason for failure in answer.failures]

    def refusals(self, type_, inputs, name="it"):
        return self.check(type_, inputs, name=name)[1]

    def diff(self, type_, old, new, *, state=None):
        request = proto.DiffRequest(
            urn=urn(type_),
            id="id",
            olds=to_struct(old if state is None else state),
            old_inputs=to_struct(old),
            news=to_struct(new),
        )
        return self.provider.Diff(request, Context())

    def create(self, type_, inputs, name="it", *, preview=False):
        """Id and outputs; the arguments go through Check first, as in the engine."""
        inputs, reasons = self.check(type_, inputs, name=name)
        assert not reasons, reasons
        request = proto.CreateRequest(urn=urn(type_, name), properties=to_struct(inputs), preview=preview)
        answer = self.provider.Create(request, Context())
        return answer.id, from_struct(answer.properties)

    def update(self, type_, id_, old, new, name="it", *, state=None, preview=False):
        request = proto.UpdateRequest(
            urn=urn(type_, name),
            id=id_,
            olds=to_struct(state or old),
            old_inputs=to_struct(old),
            news=to_struct(new),
            preview=preview,
        )
        return from_struct(self.provider.Update(request, Context()).properties)

    def read(self, type_, id_, state=EMPTY, inputs=EMPTY, name="it"):
        """Id, outputs and arguments; an empty id for what is gone."""
        request = proto.ReadRequest(
            urn=urn(type_, name), id=id_, properties=to_struct(state), inputs=to_struct(inputs)
        )
        answer = self.provider.Read(request, Context())
        return answer.id, from_struct(answer.properties), from_struct(answer.inputs)

    def delete(self, type_, id_, name="it"):
        self.provider.Delete(proto.DeleteRequest(urn=urn(type_, name), id=id_), Context())

    def invoke(self, token, **arguments):
        answer = self.provider.Invoke(proto.InvokeRequest(tok=token, args=to_struct(arguments)), Context())
        return from_struct(getattr(answer, "return")), [failure.reason for failure in answer.failures]

    def cancel(self):
        self.provider.Cancel(None, Context())


def urn(type_, name="it"):
    return f"urn:pulumi:s::p::{type_}::{name}"
