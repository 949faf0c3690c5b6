"""The Pulumi provider `tradewind`: processes, pools and files of the local cloud as resources.

A plugin of our own instead of pickled dynamic providers: its type tokens are stable names, a Ctrl-C reaches a
waiting create, a dead process shows in the preview, and any number of resources are worked on at once.
"""
