"""Compute Engine as far as a controller asks it: instance groups whose machines have addresses of this computer."""

import json
import re

_STAMP = "2026-01-01T00:00:00.000-08:00"
_RIGHTS = {
    "aggregated/instanceGroupManagers": "compute.instanceGroupManagers.list",
    "aggregated/instances": "compute.instances.list",
    "regions": "compute.regions.list",
    "resize": "compute.instanceGroupManagers.update",
    "deleteInstances": "compute.instanceGroupManagers.update",
    "listManagedInstances": "compute.instanceGroupManagers.get",
    "listErrors": "compute.instanceGroupManagers.get",
}
"""What each call takes: https://cloud.google.com/compute/docs/reference/rest/v1/instanceGroupManagers"""


class Groups:
    """`sizes` by zone and name. `machines`: by number, their group and address; `addresses`: for the next ones."""

    def __init__(self, project):
        self._root = f"/projects/{project}"
        self.sizes, self.machines, self.addresses = {}, {}, []

    def find(self, method, path):
        """The permission that a call takes, and the call; None for one that there is not."""
        rest = path.removeprefix(f"{self._root}/")
        if method == "GET" and rest in _RIGHTS:
            return _RIGHTS[rest], getattr(self, f"_{rest.rpartition('/')[2]}")
        found = re.fullmatch(r"zones/([^/]+)/instanceGroupManagers/([^/]+)/(\w+)", rest)
        if found is None or found[3] not in _RIGHTS or (method == "GET") != (found[3] == "listErrors"):
            return "", None
        at = found[1], found[2]
        return _RIGHTS[found[3]], lambda query, body: self._of_group(at, found[3], query, body)

    def _instanceGroupManagers(self, query, _body):  # noqa: N802 - Google's names
        pattern = query["filter"][0].removeprefix("name eq ")
        found = [
            {"name": name, "zone": f"https://x{self._root}/zones/{zone}", "targetSize": size}
            for (zone, name), size in self.sizes.items()
            if re.fullmatch(pattern, name)
        ]
        return _json({"items": {"zones/a": {"instanceGroupManagers": found}, "zones/b": {"warning": {}}}})

    def _instances(self, query, _body):
        assert query["filter"] == ["labels.tradewind-env = test"]
        found = [self._machine(number) for number in self.machines]
        return _json({"items": {"zones/a": {"instances": found}}})

    def _regions(self, _query, _body):
        return _json({"items": []})

    def _of_group(self, at, verb, query, body):
        if at not in self.sizes:
            return 404, json.dumps({"error": {"code": 404, "message": f"{at[1]} was not found"}}).encode(), {}
        mine = [number for number, (group, _) in self.machines.items() if group == at]
        if verb == "resize":
            self.sizes[at] = size = int(query["size"][0])
            for _ in range(min(size - len(mine), len(self.addresses))):
                self.machines[str(7_000_000_001 + len(self.machines))] = at, self.addresses.pop(0)
            return _json({"kind": "compute#operation"})
        if verb == "deleteInstances":
            for number in mine:
                if self._url(number) in body["instances"]:
                    del self.machines[number]
                    self.sizes[at] -= 1
            return _json({"kind": "compute#operation"})
        if verb == "listErrors":
            return _json({"items": []})
        members = [{"instance": self._url(n), "id": n, "currentAction": "NONE"} for n in mine]
        return _json({"managedInstances": members})

    def _url(self, number):
        (zone, name), _ = self.machines[number]
        return (
            f"https://www.googleapis.com/compute/v1{self._root}/zones/{zone}/instances/{name}-{number[-4:]}"
        )

    def _machine(self, number):
        address = self.machines[number][1]
        card = {"networkIP": address, "accessConfigs": [{"natIP": address}]}
        return {
            "id": number,
            "selfLink": self._url(number),
            "status": "RUNNING",
            "creationTimestamp": _STAMP,
            "networkInterfaces": [card],
        }


def _json(value):
    return 200, json.dumps(value).encode(), {"content-type": "application/json"}
