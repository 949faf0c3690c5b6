import pytest

from tools.standins.live import FOLDER, Clouds


@pytest.fixture
def live(tmp_path, monkeypatch):
    """The live state that stand-ins of the test work on."""
    monkeypatch.setenv(FOLDER, str(tmp_path / "live"))
    return Clouds(tmp_path / "live")
