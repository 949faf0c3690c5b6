"""Environment variables of a service file: their values, and where `$NAME` and `${NAME}` are filled in.

They are filled in everywhere but in `setup` and `run`, where the shell of the replica does it. Secrets have names
only: no value of one is read into the spec, so none can reach the desired state.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from spec.errors import Problem, did_you_mean
from spec.source import Node

_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_SHELL = ("run", "setup", "envs", "secrets", "name")


def fill_in(text: str, values: Mapping[str, str]) -> str:
    """The text with its known variables replaced; unknown ones stay as they are."""
    return _VARIABLE.sub(lambda m: values.get(m[1] or m[2], m[0]), text)


def names_in(text: str) -> set[str]:
    """The variables that the text refers to."""
    return {m[1] or m[2] for m in _VARIABLE.finditer(text)}


def names_of(root: Node, section: str) -> frozenset[str]:
    """The names that `envs` or `secrets` of the file declare."""
    node = root.at(section)
    return frozenset(node.fields) if node else frozenset()


def settle(root: Node, env: Mapping[str, str], *, file: str) -> list[Problem]:
    """Gives every env its value and fills variables in, in place; returns what is missing or can't be."""
    problems = _settle_envs(root, env, file)
    envs = root.at("envs")
    values = {n: v.value for n, v in envs.fields.items() if isinstance(v.value, str)} if envs else {}
    secrets = root.at("secrets")
    secret_names = set(secrets.fields) - set(values) if secrets else set()
    for key, node in root.fields.items():
        if key not in _SHELL:
            problems += _fill(node, values, secret_names, file)
    for node in secrets.fields.values() if secrets else ():
        if not isinstance(node.value, list | dict):
            node.text = "" if node.value is None else node.text
            node.value = ""
    return problems


def unknown(names: Iterable[str], known: Iterable[str], *, secrets: Iterable[str] = ()) -> list[Problem]:
    """Problems for variables that were given on the command line and that no file declares."""
    known, secrets = sorted(known), set(secrets)
    return [
        Problem("--env", name, "is a secret in the file.", hint=_NOT_HERE)
        if name in secrets
        else Problem("--env", name, "is not among the `envs`.", hint=_known_hint(name, known))
        for name in sorted(set(names) - set(known))
    ]


_NOT_HERE = "Its value does not belong on a command line; move it to `envs` if it is no secret."


def _known_hint(name: str, known: list[str]) -> str:
    listed = f"Known: {', '.join(known)}." if known else "The file has no `envs`."
    return did_you_mean(name, known) or listed


def _settle_envs(root: Node, env: Mapping[str, str], file: str) -> list[Problem]:
    envs = root.at("envs")
    problems = []
    if envs is None:
        return []
    for name, node in envs.fields.items():
        if isinstance(node.value, list | dict):
            continue
        refers_to_itself = node.text is not None and names_in(node.text) == {name}
        if name in env:
            node.value = env[name]
        elif node.value is None or refers_to_itself:
            node.value = ""
            hint = f"Give it with `--env {name}=VALUE`."
            problems.append(Problem(file, node.path, "needs a value and has none.", node.line, hint=hint))
        else:
            node.value = node.text
    values = {n: v.value for n, v in envs.fields.items() if isinstance(v.value, str)}
    for name, node in envs.fields.items():
        if name not in env and isinstance(node.value, str):
            node.value = fill_in(node.value, values)
    return problems


def _fill(node: Node, values: Mapping[str, str], secrets: set[str], file: str) -> list[Problem]:
    if isinstance(node.value, dict):
        node.value = {fill_in(key, values): child for key, child in node.value.items()}
        return [p for child in node.value.values() for p in _fill(child, values, secrets, file)]
    if isinstance(node.value, list):
        return [p for child in node.value for p in _fill(child, values, secrets, file)]
    if not isinstance(node.value, str):
        return []
    problems = [
        Problem(
            file,
            node.path,
            f"refers to the secret `{name}`, and this field is stored where no secret may be.",
            node.line,
            hint="Secrets are environment variables of `setup` and `run` only.",
        )
        for name in sorted(names_in(node.value) & secrets)
    ]
    node.value = fill_in(node.value, values)
    return problems
