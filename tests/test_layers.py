"""Imports only go down: the rooms of the repository, and what each may know of the others."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

ROOMS = {
    "spec": set(),
    "catalog": {"spec"},
    "planner": {"spec", "catalog"},
    "local": set(),
    "engines": {"spec"},
    "lb": {"spec", "local", "planner", "engines"},
    "components": {"spec", "planner", "local", "lb", "tools"},
    "policies": {"spec", "catalog", "planner"},
    "tools": set(),
    "sim": {"spec", "catalog", "planner", "lb"},
    "cli": {"spec", "catalog", "planner", "local", "lb", "engines", "policies", "sim", "tools"},
}
"""Room -> the other rooms that it may import."""

NARROWED = {
    ("lb", "planner"): ("planner.pricing",),
    ("sim", "planner"): ("planner.pricing",),
    ("sim", "lb"): ("lb.decide", "lb.clouds.protocol", "lb.observe.traffic"),
    ("lb", "engines"): ("engines.presets",),
    ("components", "lb"): ("lb.envoy",),
    ("components", "tools"): ("tools.archive",),
}
"""Where only a part of the other room is meant: the one money formula, decisions and what they observe, metric names, pure
rendering.
"""

NETWORK = {
    "httpx",
    "socket",
    "http",
    "urllib",
    "obstore",
    "aiohttp",
    "requests",
    "boto3",
    "uvicorn",
    "starlette",
}
PURE = ("planner", "lb/decide", "lb/envoy", "policies/cost.py")
"""Neither the network, nor a clock, nor files."""

FINDS_A_PROGRAM = "lb/envoy/binary.py"

SPEAKS_PULUMI = ("local/plugin", "tools/standins")
"""Provider plugins: they speak Pulumi's protocol, with Pulumi's own messages. A stand-in knows no room of ours."""

STANDARD_LIBRARY_ONLY = ("lb/agent", "local", "tools")


def modules(place):
    top = ROOT / place
    return sorted(top.rglob("*.py")) if top.is_dir() else [top]


def imports(path):
    """Absolute dotted names that a module imports, wherever in the module the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide which room is meant"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def third_party_and_ours(path):
    import sys

    return {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_the_rooms_below_it(room):
    for path in modules(room):
        for name in imports(path):
            other = name.split(".")[0]
            if other not in ROOMS or other == room:
                continue
            assert other in ROOMS[room], f"{path.relative_to(ROOT)} imports {name}"
            allowed = NARROWED.get((room, other))
            assert allowed is None or name.startswith(allowed), f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("room", sorted(set(ROOMS) - {"components", "cli", "policies"}))
def test_pulumi_is_only_known_from_components_upwards(room):
    for path in modules(room):
        if any(path.is_relative_to(ROOT / place) for place in SPEAKS_PULUMI):
            continue
        assert not {"pulumi", "pulumi_policy"} & third_party_and_ours(path), path.relative_to(ROOT)


@pytest.mark.parametrize("place", PURE)
def test_decisions_plans_and_rendering_touch_neither_network_nor_clock(place):
    for path in modules(place):
        if path == ROOT / FINDS_A_PROGRAM:
            continue
        found = {name.split(".")[0] for name in imports(path)}
        assert not found & (NETWORK | {"time", "random", "subprocess", "asyncio"}), path.relative_to(ROOT)


@pytest.mark.parametrize("place", STANDARD_LIBRARY_ONLY)
def test_what_must_run_before_or_without_an_installation_needs_only_the_standard_library(place):
    for path in modules(place):
        if any(path.is_relative_to(ROOT / place) for place in SPEAKS_PULUMI):
            continue
        own = place.split("/")[0]
        allowed = {own} | ({"pulumi", "semver"} if place == "tools" else set())
        assert third_party_and_ours(path) <= allowed, path.relative_to(ROOT)


def test_every_room_exists_and_has_a_docstring():
    for room in ROOMS:
        text = (ROOT / room / "__init__.py").read_text()
        assert ast.get_docstring(ast.parse(text)), room
