"""How a machine of a cloud becomes a replica's node, an edge or the controller: cloud-init, and the scripts of its archive.

`cloud_init.py` renders user data. `fetch.py` is the one program in it. Everything else here travels in the archive of
the machine's role, so that an edit of it reaches machines that run, and no template changes.
"""
