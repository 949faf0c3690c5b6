"""The local cloud: machines are process groups on this computer, capacity and prices come from a trace file.

Standard library only, so that the stack program, the controller and the plugin can all use it; only
`local/plugin/` also speaks Pulumi's protocol.
"""
