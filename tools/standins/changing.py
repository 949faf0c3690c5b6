"""Create, update, read and delete on the live state, as a real provider and its cloud would do them."""

from __future__ import annotations

import copy
import dataclasses
import json
import secrets

from tools.standins import forms
from tools.standins.cloud import Cloud, Made, at
from tools.standins.diff import changes, pattern
from tools.standins.live import Clouds, Live, Request, Session
from tools.standins.sdk import ResourceType
from tools.standins.wire import UNKNOWN, Secret, Values, sealed


class Refused(Exception):
    """The cloud would not do it; the message is for the user."""


# ---------------------------------------------------------------- what a preview shows


def expected(cloud: Cloud, made: Made, inputs: Values) -> Values:
    """Outputs of a resource that does not exist yet: what is given, and unknown what only the cloud can tell."""
    outputs = {
        name: UNKNOWN
        for name, field in made.resource.outputs.items()
        if field.required and name not in inputs
    }
    return _marked(cloud, made, {**forms.shaped(made.resource, forms.without_notes(inputs)), **outputs})


def expected_update(cloud: Cloud, made: Made, olds: Values, news: Values) -> Values:
    """Outputs after an update: the cloud's own values stay, but for those that every update renews."""
    renewed = dict.fromkeys(cloud.renewed.get(made.type, ()), UNKNOWN)
    return _marked(cloud, made, {**olds, **forms.shaped(made.resource, forms.without_notes(news)), **renewed})


def refuse_unchangeable(cloud: Cloud, made: Made, old_inputs: Values, news: Values) -> None:
    """Raises Refused for an update that the cloud would answer with an error. The real provider learns it in `up`."""
    names = cloud.unchangeable.get(made.type, frozenset())
    for path in changes(old_inputs, news):
        if any(pattern(path) == name or pattern(path).startswith(f"{name}.") for name in names):
            raise Refused(
                f"PropertyChangeNotAllowed: {path} of {made.name} can't be changed; declare a new one"
            )


# ---------------------------------------------------------------- requests


def create(cloud: Cloud, made: Made, inputs: Values, clouds: Clouds | None) -> tuple[str, Values]:
    """Id and outputs of a new object; `clouds` is None for what exists in no cloud. Raises Refused."""
    made = _with_name_of_prefix(cloud, made)
    id_ = cloud.identify(made)
    outputs = _outputs(cloud, made, inputs, id_)
    if clouds is not None:
        naming = cloud.naming(made.type)
        name = made.get(naming.property) if naming else None
        scope = json.dumps(cloud.scope(made, naming)) if naming else ""
        unique = naming is not None and naming.scope is not None
        live = Live(
            made.type,
            id_,
            str(name or made.name),
            scope,
            made.urn,
            sealed(outputs),
            cloud.references(made.inputs),
        )
        with clouds.transaction() as session:
            if session.get(id_, made.type) or (unique and session.named(made.type, scope, live.name)):
                raise Refused(f"{made.type} {live.name} exists already")
            reason = session.held(made.type, scope, live.name)
            if reason and not cloud.takes_back(made):
                raise Refused(f"{made.type} {live.name}: {reason}")
            session.release(made.type, scope, live.name)
            _judge(cloud, made, session)
            session.put(live)
            session.record(Request("create", made.type, id_, made.urn, sealed(forms.without_notes(inputs))))
            _deploy(cloud, made, session)
    return id_, _marked(cloud, made, forms.shaped(made.resource, outputs))


def update(
    cloud: Cloud, made: Made, id_: str, values: tuple[Values, Values, Values], clouds: Clouds | None
) -> Values:
    """Outputs after an update. `values`: old arguments, old outputs, new arguments. Raises Refused."""
    old_inputs, olds, news = values
    news = forms.without_notes(news)
    outputs = {**{k: v for k, v in olds.items() if k not in old_inputs or k in news}, **news}
    if clouds is None:
        return _marked(cloud, made, forms.shaped(made.resource, outputs))
    with clouds.transaction() as session:
        live = session.get(id_, made.type)
        if live is None:
            raise Refused(f"{made.type} {id_} is gone from the cloud; run: pulumi refresh")
        _judge(cloud, made, session)
        if cloud.whole:
            sent = sealed(news)
            _put(cloud, live, sealed(forms.without_notes(old_inputs)), sent)
        else:
            names = {path.partition("[")[0].partition(".")[0] for path in changes(old_inputs, news)}
            sent = {name: sealed(news.get(name)) for name in sorted(names)}
            live.properties.update(sent)
        cloud.updated(made, live, sent)
        for name in [name for name, value in live.properties.items() if value is None]:
            del live.properties[name]
        renewed = Live(
            live.type,
            live.id,
            live.name,
            live.scope,
            made.urn,
            live.properties,
            cloud.references(made.inputs),
        )
        session.put(renewed)
        session.record(Request("update", made.type, id_, made.urn, sent))
        _deploy(cloud, made, session)
    return _marked(
        cloud, made, forms.shaped(made.resource, forms.refreshed(outputs, live.properties, add=True))
    )


def read(
    cloud: Cloud, resource: ResourceType, key: tuple[str, str], values: tuple[Values, Values], clouds: Clouds
) -> tuple[Values, Values] | None:
    """Outputs and arguments as they are live; None when the object is gone. `key`: type and id; `values`: as known.

    Arguments of a bridged provider only follow what the program had given. azure-native adds to them whatever differs
    from the state: a size that a controller set becomes an argument by a refresh.
    """
    with clouds.transaction() as session:
        live = session.get(key[1], key[0])
    if live is None:
        return None
    state, inputs = values
    outputs = forms.shaped(resource, forms.refreshed(state, live.properties, add=True))
    if not state:  # an import
        return outputs, {k: v for k, v in outputs.items() if k in resource.inputs}
    arguments = forms.refreshed(inputs, live.properties, add=False)
    if cloud.whole:
        now = forms.shaped(resource, live.properties)
        given = {name: live.properties[name] for name in live.properties if name in resource.inputs}
        arguments = forms.followed(arguments, sealed(state), now, given)
    return outputs, arguments


def delete(cloud: Cloud, type_: str, id_: str, urn: str, clouds: Clouds | None) -> None:
    """Deletes an object, and what the cloud deletes with it; what is gone already is no mistake. Raises Refused."""
    if clouds is None:
        return
    with clouds.transaction() as session:
        live = session.get(id_, type_)
        if live is None:
            return
        for hold in cloud.holds.get(type_, ()):
            reason = hold(live, session)
            if reason:
                raise Refused(f"{type_} {live.name} can't be deleted: {reason}")
        for gone in [live, *cloud.removes(live, session)]:
            session.remove(gone)
            reason = cloud.keeps_name(gone)
            if reason:
                session.hold(gone, reason)
        session.record(Request("delete", type_, id_, urn, {}))


# ---------------------------------------------------------------- parts


def _with_name_of_prefix(cloud: Cloud, made: Made) -> Made:
    """Bridged providers draw a name when only its beginning is given."""
    naming = cloud.naming(made.type)
    prefix = made.get(f"{naming.property}Prefix") if naming else None
    if naming is None or prefix is None or made.get(naming.property) is not None:
        return made
    return dataclasses.replace(
        made, inputs={**made.inputs, naming.property: f"{prefix}{secrets.token_hex(4)}"}
    )


def _judge(cloud: Cloud, made: Made, session: Session) -> None:
    for reference in sorted(cloud.references(made.inputs)):
        if session.get(reference) is None:
            raise Refused(f"{made.type} {made.name} names {reference}, which does not exist")
    for rule in cloud.live_rules.get(made.type, ()):
        for failure in rule(made, session):
            raise Refused(f"{made.type} {made.name}: {failure.path}: {failure.reason}")


def _deploy(cloud: Cloud, made: Made, session: Session) -> None:
    """Carries out what a resource writes to other objects."""
    for live, sent in cloud.deployed(made, session):
        _put(cloud, live, {name: None for name in live.properties if name in sent}, sent)
        session.put(live)
        session.record(Request("update", live.type, live.id, made.urn, sent))


def _put(cloud: Cloud, live: Live, old_inputs: Values, sent: Values) -> None:
    """The whole object is what was sent; what the cloud made itself stays, and so do sizes that were not sent."""
    kept = {path: at(live.properties, path) for path in cloud.kept.get(live.type, ())}
    for name in old_inputs:
        live.properties.pop(name, None)
    live.properties.update(copy.deepcopy(sent))
    for path, value in kept.items():
        if at(sent, path) is None and value is not None:
            forms.put_at(live.properties, path, value)


def _outputs(cloud: Cloud, made: Made, inputs: Values, id_: str) -> Values:
    naming = cloud.naming(made.type)
    name = {naming.property: made.get(naming.property)} if naming and made.get(naming.property) else {}
    given = forms.merged(forms.without_notes(inputs), {**name, **cloud.defaults(made)})
    own = {k: v for k, v in cloud.outputs(made, id_).items() if k in made.resource.outputs}
    rest = {
        name: forms.plausible(field.type, f"{made.name}-{name}")
        for name, field in made.resource.outputs.items()
        if field.required and name not in given and name not in own
    }
    return {**rest, **forms.merged(given, own)}


def _marked(cloud: Cloud, made: Made, outputs: Values) -> Values:
    """With the provider's own secrets marked, also while they are not known yet."""
    secret = cloud.secret.get(made.type, frozenset())
    return {k: Secret(v) if k in secret and not isinstance(v, Secret) else v for k, v in outputs.items()}
