#!/usr/bin/env bash
# Brings a replica's machine to the release that this script is part of; 0 when its agent runs.
# Run at each start of the machine: every step may find itself done already.
role=node
source "$(dirname "$(readlink -f "$0")")/common.sh"

# Where `setup` installs what an engine needs: the system's own Python refuses packages (PEP 668), and some images lack pip.
environment() {
    local folder=$state/engine
    [ ! -x "$folder/bin/python" ] || return 0
    if ! "$python" -m venv --system-site-packages "$folder"; then
        rm -rf "$folder"
        DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 update
        DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 install -y python3-venv
        "$python" -m venv --system-site-packages "$folder"
    fi
}

prepare
environment
switch
systemctl enable tradewind-node.service
systemctl restart tradewind-node.service
systemctl is-active --quiet tradewind-node.service
