"""`python -m local.plugin`, as `pulumi-resource-tradewind` starts it."""

from local.plugin.server import serve

if __name__ == "__main__":
    serve()
