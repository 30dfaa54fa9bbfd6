"""A picture as an element of an HTML page, in the colours that the page has."""

from __future__ import annotations

import re
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl

_OF_PAGE = {"#000000": "currentColor", "#ffffff": "var(--page)"}
# References to other elements: their names must be unique on a whole page.
_REFERENCE = re.compile(r"(?:url\(#|^#)([^)]+)")


def draw_inline(draw: Callable[[Path], None], name: str, description: str) -> str:
    """A picture as an SVG element that needs nothing from elsewhere.

    Black becomes the text's colour and white the page's, `--page`, so that it suits a dark page.

    Args:
        draw: draws into the file it is given, in the format of its suffix.
        name: of the picture, which no other on the page has.
        description: said in its place where it cannot be seen.
    """
    style = mpl.rc_context(
        {
            "svg.fonttype": "none",  # text stays text
            "svg.hashsalt": "rnnbench",  # the same picture is the same text
            "font.sans-serif": ["DejaVu Sans"],
        }
    )
    with tempfile.TemporaryDirectory() as directory, style:
        path = Path(directory) / "picture.svg"
        draw(path)
        drawn = ET.parse(path).getroot()  # noqa: S314 - Matplotlib's
    svg = ET.Element("svg", viewBox=drawn.attrib["viewBox"], role="img", fill="currentColor")
    svg.attrib |= {"aria-label": description, "stroke-linejoin": "round"}
    for parent in list(drawn.iter()):
        for child in list(parent):
            if _plain(child.tag) in ("metadata", "style"):  # a style would be the whole page's
                parent.remove(child)
    svg.extend(drawn)
    _rename(svg, name)
    return ET.tostring(svg, encoding="unicode")


def _rename(svg: ET.Element, name: str) -> None:
    """Take away namespaces and names that nothing refers to; make the others the picture's own."""
    referred = {
        found
        for element in svg.iter()
        for key, value in element.attrib.items()
        if key != "id"
        for found in _REFERENCE.findall(value)
    }
    for element in svg.iter():
        element.tag = _plain(element.tag)
        attributes = {_plain(key): value for key, value in element.attrib.items()}
        if attributes.get("id") not in referred:
            attributes.pop("id", None)
        for key, value in attributes.items():
            if key == "id":
                attributes[key] = f"{name}-{value}"
            elif key in ("href", "clip-path"):
                attributes[key] = value.replace("#", f"#{name}-")
            elif key == "style":
                for color, of_page in _OF_PAGE.items():
                    attributes[key] = attributes[key].replace(color, of_page)
        element.attrib.clear()
        element.attrib.update(attributes)


def _plain(tag: str) -> str:
    return tag.rpartition("}")[2]
