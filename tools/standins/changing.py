"""Create, update, read and delete on the live state, as a real provider and its cloud would do them."""

from __future__ import annotations

import copy
import dataclasses
import json
import secrets
from typing import Any

from tools.standins.cloud import Cloud, Made, at
from tools.standins.diff import changes, pattern
from tools.standins.live import Clouds, Live, Request, Session
from tools.standins.sdk import ResourceType, Type
from tools.standins.wire import UNKNOWN, Secret, Values, plain, sealed


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
    return _marked(cloud, made, {**_shaped(made.resource, _without_notes(inputs)), **outputs})


def expected_update(cloud: Cloud, made: Made, olds: Values, news: Values) -> Values:
    """Outputs after an update: the cloud's own values stay, but for those that every update renews."""
    renewed = dict.fromkeys(cloud.renewed.get(made.type, ()), UNKNOWN)
    return _marked(cloud, made, {**olds, **_shaped(made.resource, _without_notes(news)), **renewed})


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
            _judge(cloud, made, session)
            session.put(live)
            session.record(Request("create", made.type, id_, made.urn, sealed(_without_notes(inputs))))
            _deploy(cloud, made, session)
    return id_, _marked(cloud, made, _shaped(made.resource, outputs))


def update(
    cloud: Cloud, made: Made, id_: str, values: tuple[Values, Values, Values], clouds: Clouds | None
) -> Values:
    """Outputs after an update. `values`: old arguments, old outputs, new arguments. Raises Refused."""
    old_inputs, olds, news = values
    news = _without_notes(news)
    outputs = {**{k: v for k, v in olds.items() if k not in old_inputs or k in news}, **news}
    if clouds is None:
        return _marked(cloud, made, _shaped(made.resource, outputs))
    with clouds.transaction() as session:
        live = session.get(id_, made.type)
        if live is None:
            raise Refused(f"{made.type} {id_} is gone from the cloud; run: pulumi refresh")
        _judge(cloud, made, session)
        if cloud.whole:
            sent = sealed(news)
            _put(cloud, live, sealed(_without_notes(old_inputs)), sent)
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
    return _marked(cloud, made, _shaped(made.resource, _refreshed(outputs, live.properties, add=True)))


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
    outputs = _shaped(resource, _refreshed(state, live.properties, add=True))
    if not state:  # an import
        return outputs, {k: v for k, v in outputs.items() if k in resource.inputs}
    arguments = _refreshed(inputs, live.properties, add=False)
    if cloud.whole:
        now = _shaped(resource, live.properties)
        given = {name: live.properties[name] for name in live.properties if name in resource.inputs}
        arguments = _followed(arguments, sealed(state), now, given)
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
            _set(live.properties, path, value)


def _set(values: Values, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = value


def _outputs(cloud: Cloud, made: Made, inputs: Values, id_: str) -> Values:
    naming = cloud.naming(made.type)
    name = {naming.property: made.get(naming.property)} if naming and made.get(naming.property) else {}
    given = _merged(_without_notes(inputs), {**name, **cloud.defaults(made)})
    own = {k: v for k, v in cloud.outputs(made, id_).items() if k in made.resource.outputs}
    rest = {
        name: _plausible(field.type, f"{made.name}-{name}")
        for name, field in made.resource.outputs.items()
        if field.required and name not in given and name not in own
    }
    return {**rest, **_merged(given, own)}


def _plausible(type_: Type, text: str) -> Any:
    """Something of the right type, for outputs that no table knows."""
    simple = {
        "string": text,
        "integer": 0,
        "number": 0,
        "boolean": False,
        "list": [],
        "map": {},
        "object": {},
    }
    if type_.kind == "enum":
        return type_.values[0]
    return _plausible(type_.items[0], text) if type_.kind == "union" else simple.get(type_.kind)


def _merged(values: Values, defaults: Values) -> Values:
    """`values` with `defaults` where nothing is given, also inside objects."""
    merged = dict(values)
    for name, default in defaults.items():
        value = merged.get(name)
        if value is None:
            merged[name] = default
        elif isinstance(value, dict) and isinstance(default, dict):
            merged[name] = _merged(value, default)
    return merged


def _without_notes(inputs: Values) -> Values:
    return {k: v for k, v in inputs.items() if not k.startswith("__")}


def _shaped(resource: ResourceType, values: Values) -> Values:
    """In the form of outputs: Azure takes some lists of ids, and gives back maps of what it knows of each."""
    fields = resource.outputs
    return {k: _shape(v, fields[k].type) if k in fields else v for k, v in values.items()}


def _shape(value: Any, type_: Type) -> Any:
    if isinstance(value, Secret):
        return Secret(_shape(value.value, type_))
    if type_.kind == "map" and isinstance(value, list):
        return {str(item): {} for item in value}
    if type_.kind == "list" and isinstance(value, list):
        return [_shape(item, type_.items[0]) for item in value]
    if type_.kind == "object" and isinstance(value, dict):
        fields = type_.fields()
        return {k: _shape(v, fields[k].type) if k in fields else v for k, v in value.items()}
    return value


def _marked(cloud: Cloud, made: Made, outputs: Values) -> Values:
    """With the provider's own secrets marked, also while they are not known yet."""
    secret = cloud.secret.get(made.type, frozenset())
    return {k: Secret(v) if k in secret and not isinstance(v, Secret) else v for k, v in outputs.items()}


def _refreshed(values: Any, live: Any, *, add: bool) -> Any:
    """`values` with what differs live; `add`: also what they did not have. Digests of secrets are never copied."""
    if sealed(values) == live or (isinstance(live, dict) and {"secret_sha256", "asset_sha256"} & set(live)):
        return values
    if isinstance(values, dict) and isinstance(live, dict):
        notes = {k: v for k, v in values.items() if k.startswith("__")}
        known = {k: _refreshed(v, live[k], add=add) for k, v in values.items() if k in live}
        return {**notes, **{k: v for k, v in live.items() if add and k not in values}, **known}
    return live


def _followed(arguments: Values, state: Values, now: Values, live: Values) -> Values:
    """Arguments with every value that is other `now` than in the state, in the form of arguments (`live`)."""
    followed = dict(arguments)
    for name, value in live.items():
        before, after, mine = state.get(name), now.get(name), followed.get(name)
        if before == after or isinstance(mine, Secret):
            continue
        if isinstance(value, dict) and isinstance(after, dict) and isinstance(mine, dict):
            followed[name] = _followed(mine, before if isinstance(before, dict) else {}, after, value)
        else:
            followed[name] = plain(value)
    return followed
