#!/usr/bin/env bash
# Brings a controller's host to the release that this script is part of; 0 when it runs and is healthy.
# Run at each start of the machine, for an update, and to go back: every step may find itself done already.
role=controller
source "$(dirname "$(readlink -f "$0")")/common.sh"

prepare
switch
systemctl enable --now tradewind-update.service
systemctl enable tradewind-controller.service
systemctl restart tradewind-controller.service
healthy "https://127.0.0.1:$(setting port)/health" 60
