"""From templates to one self-contained page, in which no text from outside can become markup."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from handsigns._version import __version__
from handsigns.console.sanitize import printable
from handsigns.reporting.figures.figure import Figure, config

if TYPE_CHECKING:
    from jinja2 import Environment

GENERATOR = f"handsigns {__version__}"
MARK = '<meta name="generator" content="handsigns'
"""By which a page of ours is known."""


def render(template: str, payload: Mapping[str, Any], **fields: Any) -> str:
    """A page with its script and its looks inside it.

    Its content-security policy forbids every load and every script but the two by their digests, so
    that nothing runs that was not put there on purpose; and no text is ever evaluated, as the
    figures' expressions are interpreted.

    Args:
        template: with the ``base`` template's blocks.
        payload: for the script; anything that JSON has.
        fields: for the template.
    """
    from markupsafe import Markup

    scripts = (_library(), _template("page.js"))
    digests = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data:; "
        f"base-uri 'none'; form-action 'none'"
    )
    return render_plain(
        template,
        policy=Markup(policy),
        style=Markup(_template("style.css")),
        scripts=[Markup(script) for script in scripts],
        payload=Markup(json_in_html(payload)),
        **fields,
    )


def render_plain(template: str, **fields: Any) -> str:
    """A page of the template and its fields alone."""
    return str(_environment().get_template(template).render(generator=GENERATOR, **fields))


def json_in_html(value: Any) -> str:
    """JSON that can stand in a script element: it ends none, begins none, and is no markup."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def figures_payload(figures: Sequence[Figure]) -> dict[str, Any]:
    """What the page's script needs to draw figures, in either theme."""
    return {
        "config": {"light": config("light"), "dark": config("dark")},
        "figures": {f.name: {"spec": f.spec, "data": dict(f.data)} for f in figures},
    }


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("handsigns.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
    )


def _finalized(value: Any) -> Any:
    """Text for the page: what is invisible in it is made visible; line breaks stay."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return "\n".join(map(printable, value.split("\n")))
    return value


@functools.cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed, as the drawing library brings them."""
    import vl_convert

    # In a script element, these would end it or change how it is read.
    bundle = str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


@functools.cache
def _template(name: str) -> str:
    return (resources.files("handsigns.reporting") / "templates" / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
