"""Pulumi components: they declare what a plan says and decide nothing."""
