"""The live objects of the stand-in clouds: what was created, whatever Pulumi's state says, and every request.

One SQLite file in the folder that `TRADEWIND_STANDIN_DIR` names: several stand-ins and a test share it, each change is
one transaction, and a stand-in that is killed leaves either the old or the new state.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = "TRADEWIND_STANDIN_DIR"
_WAIT_S = 30.0
_SCHEMA = """
create table if not exists objects (
    package text, type text, id text, name text, scope text, urn text, properties text, refers text,
    primary key (package, id, type)
);
create index if not exists names on objects (type, scope, name);
create table if not exists held (type text, scope text, name text, reason text);
create table if not exists journal (
    number integer primary key, operation text, type text, id text, urn text, sent text
);
"""


@dataclass(frozen=True)
class Live:
    """One object of a cloud. `scope`: where its name must be unique. `refers`: ids of other objects that it names."""

    type: str
    id: str
    name: str
    scope: str
    urn: str
    properties: dict[str, Any]
    refers: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Request:
    """One request that changed a cloud, with what was sent: only the changed properties, or the whole object."""

    operation: str
    type: str
    id: str
    urn: str
    sent: dict[str, Any]


class Clouds:
    """The live state in one folder. Safe to open from several processes; not to share between threads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "live.sqlite"
        with self._connected() as db:
            db.executescript(_SCHEMA)

    @classmethod
    def configured(cls) -> Clouds | None:
        """The folder of the environment; None where there is none: then a stand-in serves previews only."""
        folder = os.environ.get(FOLDER)
        return cls(Path(folder)) if folder else None

    def objects(self, type_: str | None = None) -> list[Live]:
        """All objects, or those of one type, in the order of their ids."""
        with self._connected() as db:
            return Session(db).objects(type_)

    def one(self, type_: str) -> Live:
        """The only object of a type. Raises LookupError when there are none or several."""
        found = self.objects(type_)
        if len(found) != 1:
            raise LookupError(f"{len(found)} live objects of type {type_}")
        return found[0]

    def journal(self, operation: str | None = None, type_: str | None = None) -> list[Request]:
        """Every request so far, or those of an operation (`create`, `update`, `delete`) and a type."""
        with self._connected() as db:
            rows = db.execute("select operation, type, id, urn, sent from journal order by number").fetchall()
        requests = [Request(*row[:4], json.loads(row[4])) for row in rows]
        return [r for r in requests if operation in (None, r.operation) and type_ in (None, r.type)]

    def set(self, type_: str, id_: str, path: str, value: Any) -> None:
        """What somebody does outside of Pulumi: sets one property (`sku.capacity`) of a live object."""
        with self.transaction() as session:
            live = session.get(id_, type_)
            if live is None:
                raise LookupError(f"no live object {id_} of type {type_}")
            *parents, last = path.split(".")
            inside = live.properties
            for parent in parents:
                inside = inside.setdefault(parent, {})
            inside[last] = value
            session.put(live)

    @contextmanager
    def transaction(self) -> Generator[Session]:
        """All or nothing, and alone: what raises inside leaves no trace."""
        with self._connected() as db:
            db.execute("begin immediate")
            yield Session(db)
            db.execute("commit")

    @contextmanager
    def _connected(self) -> Generator[sqlite3.Connection]:
        """Closed at the end, which rolls back what was not committed. A lost power supply may cost the file."""
        with closing(sqlite3.connect(self.path, timeout=_WAIT_S, isolation_level=None)) as db:
            db.execute("pragma synchronous = off")
            yield db


class Session:
    """The live state within one transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def objects(self, type_: str | None = None) -> list[Live]:
        """All objects, or those of one type."""
        where, values = ("where type = ?", (type_,)) if type_ else ("", ())
        return self._select(f"{where} order by type, id", values)

    def get(self, id_: str, type_: str | None = None) -> Live | None:
        """The object of an id, of any type when none is given."""
        where, values = ("and type = ?", (id_, type_)) if type_ else ("", (id_,))
        return next(iter(self._select(f"where id = ? {where}", values)), None)

    def named(self, type_: str, scope: str, name: str) -> list[Live]:
        """The objects of a type that have a name within its scope."""
        return self._select("where type = ? and scope = ? and name = ?", (type_, scope, name))

    def referring(self, id_: str) -> list[Live]:
        """The objects that name another one by its id."""
        rows = self._select("where refers like ?", (f"%{json.dumps(id_)}%",))
        return [live for live in rows if id_ in live.refers]

    def put(self, live: Live) -> None:
        """Creates or replaces an object."""
        package = live.type.partition(":")[0]
        values = (package, live.type, live.id, live.name, live.scope, live.urn)
        texts = (json.dumps(live.properties, sort_keys=True), json.dumps(sorted(live.refers)))
        self._db.execute("insert or replace into objects values (?, ?, ?, ?, ?, ?, ?, ?)", (*values, *texts))

    def remove(self, live: Live) -> None:
        """Removes an object."""
        self._db.execute("delete from objects where id = ? and type = ?", (live.id, live.type))

    def hold(self, live: Live, reason: str) -> None:
        """The name of what is deleted can't be had again yet."""
        values = (live.type, live.scope, live.name, reason)
        self._db.execute("insert into held values (?, ?, ?, ?)", values)

    def held(self, type_: str, scope: str, name: str) -> str | None:
        """Why a name can't be had although nothing live has it."""
        found = self._db.execute(
            "select reason from held where type = ? and scope = ? and name = ?", (type_, scope, name)
        ).fetchone()
        return found[0] if found else None

    def release(self, type_: str, scope: str, name: str) -> None:
        """What was deleted is taken back."""
        self._db.execute("delete from held where type = ? and scope = ? and name = ?", (type_, scope, name))

    def record(self, request: Request) -> None:
        """Adds to the journal."""
        self._db.execute(
            "insert into journal (operation, type, id, urn, sent) values (?, ?, ?, ?, ?)",
            (request.operation, request.type, request.id, request.urn, json.dumps(request.sent)),
        )

    def _select(self, rest: str, values: tuple[str | None, ...]) -> list[Live]:
        rows = self._db.execute(
            f"select type, id, name, scope, urn, properties, refers from objects {rest}",  # noqa: S608  our own text
            values,
        )
        return [Live(*row[:5], json.loads(row[5]), frozenset(json.loads(row[6]))) for row in rows]
