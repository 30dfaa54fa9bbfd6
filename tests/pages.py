"""Reads an HTML page as strictly as a page of ours must be."""

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br"}


class PageReader(HTMLParser):
    """Checks that tags are balanced, names are unique and nothing comes from elsewhere."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.references, self.headings, self.texts = [], [], [], [], []
        self.tags = []
        # In a text an address is text: only what a browser would load counts.
        assert "@import" not in text
        self.feed(text)
        self.close()
        assert self.open == []
        assert len(set(self.ids)) == len(self.ids)
        for reference in self.references:
            assert reference.startswith("data:") or reference.removeprefix("#") in self.ids

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            elif name in ("href", "src", "xlink:href", "srcset", "data", "action", "poster"):
                self.references.append(value)
            elif name != "alt" and not name.startswith("aria-"):
                self.references += re.findall(r"url\(([^)]+)\)", value or "")
                assert "//" not in (value or "")
            assert not name.startswith("on")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("style", "script"):
            assert "//" not in re.sub(r"^// .*$", "", data, flags=re.MULTILINE)
            assert "url(" not in data
            return
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)
        self.texts.append(data)

    @property
    def text(self):
        """All that can be read, its lines and spaces as one space."""
        return " ".join("".join(self.texts).split())

    def count(self, tag):
        return sum(name == tag for name, _ in self.tags)
