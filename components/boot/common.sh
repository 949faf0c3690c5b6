# What all hosts do alike. Sourced by the role's script, which sets `role` before.
# TRADEWIND_ROOT: a folder in the place of /, for a host that is tried without being root.
set -euo pipefail
root=${TRADEWIND_ROOT:-}
release=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
config=$root/etc/tradewind/$role.json
state=$root/var/lib/tradewind
python=${TRADEWIND_PYTHON:-/usr/bin/python3}
export PYTHONPATH=$release:$release/site

prepare() {
    if [ -z "$root" ] && ! id -u tradewind >/dev/null 2>&1; then
        useradd --system --home-dir "$state" --shell /usr/sbin/nologin tradewind
    fi
    [ -d "$release/lb/__pycache__" ] || "$python" -m compileall -q -j 0 "$release" || true
    mkdir -p "$root/etc/tradewind" "$state" "$root/etc/systemd/system" "$root/run/tradewind"
    [ -n "$root" ] || chown tradewind:tradewind "$state"
    exec 9>"$state/lock"
    flock 9 # the start of the machine and an update may come together
    [ "$role" = node ] || "$python" "$release/boot/host_secrets.py" # a node's agent asks for its own
    "$python" "$release/boot/settings.py"
}

# The release becomes the current one, and its units those of the machine.
switch() {
    for unit in "$release"/boot/units/*.service; do
        sed -e "s|@ROOT@|$root|g" -e "s|@PYTHON@|$python|g" "$unit" >"$root/etc/systemd/system/$(basename "$unit")"
    done
    ln -sfn "$release" "$root/opt/tradewind/current.new"
    mv -T "$root/opt/tradewind/current.new" "$root/opt/tradewind/current"
    systemctl daemon-reload
}

healthy() {
    "$python" "$release/boot/healthy.py" "$@"
}

# A field of the config that was just written.
setting() {
    "$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$config" "$1"
}
