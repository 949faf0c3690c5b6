"""Azure's Resource Manager as far as a controller asks it: scale sets whose machines have addresses of this computer."""

import json
import re

_COMPUTE, _NETWORK = "Microsoft.Compute", "Microsoft.Network"
_SETS = "virtualMachineScaleSets"
_LISTS = {
    f"{_COMPUTE}/{_SETS}": "sets",
    f"{_COMPUTE}/virtualMachines": "vms",
    f"{_NETWORK}/networkInterfaces": "cards",
    f"{_NETWORK}/publicIPAddresses": "ips",
}
_VERBS = {
    ("PATCH", None): (f"{_COMPUTE}/{_SETS}/write", "resize"),
    ("POST", "delete"): (f"{_COMPUTE}/{_SETS}/delete/action", "delete"),
    ("GET", "instanceView"): (f"{_COMPUTE}/{_SETS}/instanceView/read", "view"),
}


class Groups:
    """`sizes` by resource group and scale set. `machines`: by name, their scale set and address; `addresses`: for the next ones."""

    def __init__(self):
        self.sizes, self.machines, self.addresses = {}, {}, []

    def find(self, method, path):
        """The action that a call takes, at which scope, and the call; None for one that there is not."""
        if method == "GET" and re.fullmatch(
            r"(/subscriptions/[^/]+)/providers/Microsoft.Compute/locations/\w+/usages", path
        ):
            scope = path.partition("/providers/")[0]
            return f"{_COMPUTE}/locations/usages/read", scope, lambda _body: _json({"value": []})
        group = re.fullmatch(r"(/subscriptions/[^/]+/resourceGroups/([^/]+))/providers/([\w.]+/\w+)", path)
        if method == "GET" and group and group[3] in _LISTS:
            what = getattr(self, f"_{_LISTS[group[3]]}")
            return f"{group[3]}/read", group[1], lambda _body: _json({"value": what(group[1], group[2])})
        one = re.fullmatch(
            rf"(/subscriptions/[^/]+/resourceGroups/([^/]+)/providers/{_COMPUTE}/{_SETS}/([^/]+))(?:/(\w+))?",
            path,
        )
        if one is None or (method, one[4]) not in _VERBS:
            return "", "", None
        action, verb = _VERBS[method, one[4]]
        return action, one[1], lambda body: self._of_set((one[2], one[3]), verb, body)

    def _of_set(self, at, verb, body):
        if at not in self.sizes:
            return 404, json.dumps({"error": {"code": "ResourceNotFound", "message": at[1]}}).encode(), {}
        mine = [name for name, (group, _) in self.machines.items() if group == at]
        if verb == "resize":
            assert body.keys() == {"sku"}, "a size and nothing else"
            self.sizes[at] = size = body["sku"]["capacity"]
            for _ in range(min(size - len(mine), len(self.addresses))):
                self.machines[f"{at[1]}_{len(self.machines):08}"] = at, self.addresses.pop(0)
            return 202, b"", {}
        if verb == "delete":
            for name in set(mine) & set(body["instanceIds"]):
                del self.machines[name]
                self.sizes[at] -= 1
            return 202, b"", {}
        return _json({"statuses": []})

    def _sets(self, root, group):
        return [
            {"id": _id(root, _COMPUTE, _SETS, name), "name": name, "sku": {"capacity": size}}
            for (of, name), size in self.sizes.items()
            if of == group
        ]

    def _vms(self, root, group):
        return [
            {
                "id": _id(root, _COMPUTE, "virtualMachines", name),
                "name": name,
                "properties": {
                    "provisioningState": "Succeeded",
                    "timeCreated": "2026-01-01T00:00:00.0000000+00:00",
                    "virtualMachineScaleSet": {"id": _id(root, _COMPUTE, _SETS, at[1])},
                },
            }
            for name, (at, _) in self.machines.items()
            if at[0] == group
        ]

    def _cards(self, root, group):
        return [
            {
                "id": _id(root, _NETWORK, "networkInterfaces", name),
                "properties": {
                    "virtualMachine": {"id": _id(root.upper(), _COMPUTE, "virtualMachines", name)},
                    "ipConfigurations": [
                        {
                            "properties": {
                                "privateIPAddress": address,
                                "publicIPAddress": {"id": _id(root, _NETWORK, "publicIPAddresses", name)},
                            }
                        }
                    ],
                },
            }
            for name, (at, address) in self.machines.items()
            if at[0] == group
        ]

    def _ips(self, root, group):
        return [
            {"id": _id(root, _NETWORK, "publicIPAddresses", name), "properties": {"ipAddress": address}}
            for name, (at, address) in self.machines.items()
            if at[0] == group
        ]


def _id(root, provider, kind, name):
    return f"{root}/providers/{provider}/{kind}/{name}"


def _json(value):
    return 200, json.dumps(value).encode(), {"content-type": "application/json"}
