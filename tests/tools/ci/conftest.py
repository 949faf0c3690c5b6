import pytest

from tests.tools.ci.fake_github import FakeGitHub


@pytest.fixture
def github(monkeypatch):
    """A fake of GitHub, which the scripts find as a runner tells them."""
    with FakeGitHub() as fake:
        for name, value in fake.environ.items():
            monkeypatch.setenv(name, value)
        yield fake
