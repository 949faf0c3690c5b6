"""One checkout per test module: coming up takes seconds."""

import pytest

from tests.e2e.checkout import private_checkout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    with private_checkout(tmp_path_factory.mktemp("c")) as place:
        yield place
