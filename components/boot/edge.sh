#!/usr/bin/env bash
# Brings an edge's host to the release that this script is part of; 0 when it runs and is healthy.
# Run at each start of the machine, for an update, and to go back: every step may find itself done already.
# The agent is restarted each time, which callers don't notice; Envoy only when it would run on something else.
role=edge
source "$(dirname "$(readlink -f "$0")")/common.sh"

prepare
envoy=$("$python" -m lb.edge.envoy --config "$config" --check)
switch
systemctl enable --now tradewind-update.service
systemctl enable tradewind-edge.service tradewind-envoy.service
systemctl restart tradewind-edge.service
healthy "http://127.0.0.1:$(setting port)/health" 40
if [ "$envoy" != "$(cat "$state/edge/envoy.runs" 2>/dev/null)" ] || ! systemctl is-active --quiet tradewind-envoy.service; then
    systemctl restart tradewind-envoy.service
fi
# 503: it serves, and the controller has told it nothing yet.
healthy "https://127.0.0.1:$(setting public_port)/edge/ready" 20 200 503
