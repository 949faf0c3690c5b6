"""The status page as it is served: one file, nothing from elsewhere, no script but its own."""

import base64
import hashlib
import re

from lb.page import page


def inline(tag):
    [text] = re.findall(rf"<{tag}>(.*?)</{tag}>", page().body.decode(), re.DOTALL)
    return text


def allowed(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy():
    parts = (part.split() for part in page().headers["content-security-policy"].split(";"))
    return {name: values for name, *values in parts}


def test_only_its_own_script_and_style_may_run_and_only_the_controller_be_asked():
    assert policy() == {
        "default-src": ["'none'"],
        "script-src": [allowed(inline("script"))],
        "style-src": [allowed(inline("style"))],
        "connect-src": ["'self'"],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
    }


def test_nothing_is_loaded_from_elsewhere():
    text = page().body.decode().replace("http://www.w3.org/2000/svg", "")  # the name of a format, never asked
    assert "//" not in re.sub(
        r"^\s*//.*$", "", re.sub(r"// .*$", "", text, flags=re.MULTILINE), flags=re.MULTILINE
    )
    assert not re.search(r"<(script|link|img|iframe)[^>]+src=", text)


def test_what_the_controller_says_never_becomes_markup():
    script = inline("script")
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "srcdoc",
    ):
        assert way not in script


def test_it_is_small():
    assert len(page().body) < 32_000
