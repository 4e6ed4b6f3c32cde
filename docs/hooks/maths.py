"""Turns the formulas of a page into MathML, which browsers draw without a script."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r"\\\((?P<inline>.*?)\\\)|\\\[(?P<block>.*?)\\\]", re.DOTALL)
SPAN = re.compile(r'(?P<start><(?P<tag>span|div) class="arithmatex">)(?P<text>.*?)</(?P=tag)>', re.DOTALL)

BAR = re.compile("<mo>(&#x02016;|&#x0007C;)</mo>")
r"""``\lVert`` and ``\lvert``: stretched, bars fall into pieces, and as operators they have space around."""


def on_page_content(text: str, **_: Any) -> str:
    """Replaces what Arithmatex has marked."""
    return SPAN.sub(_marked, text)


def _marked(span: re.Match[str]) -> str:
    formulas = FORMULA.sub(_mathml, span["text"])
    return f"{span['start']}{formulas}</{span['tag']}>"


def _mathml(formula: re.Match[str]) -> str:
    block = formula["inline"] is None
    latex = html.unescape(formula["block"] if block else formula["inline"])
    drawn = convert(latex.strip(), display="block" if block else "inline")
    return BAR.sub(r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>', drawn)
