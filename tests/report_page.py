"""A report's page, read: what its sections say, their tables' figures in full, and their charts' texts."""

from html.parser import HTMLParser
from typing import Any


class Page(HTMLParser):
    """A page by its sections: what each says, its table's texts and values, and the charts' text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections: dict[str, dict[str, Any]] = {}
        self.text, self._open, self._section = "", [""], ""
        self.feed(html)

    def values(self, title: str) -> list[list[Any]]:
        return self.sections[title]["values"]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "meta":
            return
        self._open.append(tag)
        rows = self.sections.get(self._section, {}).get("values", [])
        if tag == "tr":
            rows.append([])
        elif tag == "td":
            rows[-1].append("")
        elif tag == "data":
            rows[-1][-1] = dict(attributes)["value"]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        tag, section = self._open[-1], self.sections.get(self._section)
        self.text += data
        if tag == "h2":
            self._section = data
            self.sections[data] = {"says": "", "values": [], "chart": []}
        elif section and tag == "p":
            section["says"] += data
        elif section and tag == "text":
            section["chart"].append(data)
        elif section and tag == "td" and data.strip():
            section["values"][-1][-1] = data


def read(html: str) -> Page:
    found = Page(html)
    for section in found.sections.values():
        section["values"] = [row for row in section["values"] if row]
    return found
