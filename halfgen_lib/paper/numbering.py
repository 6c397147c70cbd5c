"""Number the sections, figures, tables and equations of an HTML document, and link what refers."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bs4 import BeautifulSoup, Comment, NavigableString, PageElement, Tag

from .markdown import inline_markdown

NAMES = {"sec": "Section", "eq": "Equation", "fig": "Figure", "tbl": "Table"}
_KINDS = {"div": "eq", "figure": "fig", "table": "tbl"}
_LABEL = re.compile(r"\s*(?:#([\w:.-]+)|unnumbered)\s*")
_HEADING = re.compile("h[1-6]")
_REFERENCES = re.compile("references|bibliography", re.IGNORECASE)
_KEY = r"@[A-Za-z](?:[\w:.-]*\w)?"
_CITED = re.compile(rf"\[[^\[\]]*{_KEY}[^\[\]]*\]|(?<![\w@/.]){_KEY}")
_NOTE = re.compile(r"\[\^([^\]\s]+)\]")


def number(soup: BeautifulSoup, notes: dict[str, str], cites: bool, fault: Callable) -> None:
    """Number a document in place; `fault` is told what is wrong.

    `notes` are the footnotes' Markdown by their names; with `cites`, `[@key]` is a citation.
    """

    def note(match: re.Match) -> str:
        text = notes.get(match[1])
        return f'<span class="note">{inline_markdown(text)}</span>' if text else match[0]

    _replace(soup, _NOTE, note)
    for comment in soup.find_all(string=lambda text: isinstance(text, Comment)):
        if match := _LABEL.fullmatch(comment):
            _take_label(soup, comment, match[1])
        comment.extract()
    numbers = _Numbers(fault)
    numbers.number_sections(soup)
    numbers.number_others(soup)
    if numbers.link(soup, cites):
        _place_references(soup)
    _mend_links(soup)


def _replace(soup: BeautifulSoup, pattern: re.Pattern, html: Callable[[re.Match], str]) -> None:
    """Replace what a pattern finds in the text, but not in code, formulas and links, by HTML."""
    for text in soup.find_all(string=pattern):
        if type(text) is NavigableString and not text.find_parent(["pre", "code", "a"]):
            safe = text.replace("&", "&amp;").replace("<", "&lt;")
            text.replace_with(BeautifulSoup(pattern.sub(html, safe), "html.parser"))


def _nearest(nodes: Iterable[PageElement]) -> Tag | None:
    """Return the first of some nodes over blanks and comments, if it is an element."""
    shown = (n for n in nodes if isinstance(n, Tag) or (type(n) is NavigableString and n.strip()))
    first = next(shown, None)
    return first if isinstance(first, Tag) else None


def _take_label(soup: BeautifulSoup, comment: Comment, label: str | None) -> None:
    """Move a `<!-- #label -->` onto the heading, equation or image that it follows."""
    parent, last = comment.parent, _nearest(comment.previous_siblings)
    if last is not None and last.name == "p":  # the comment is a block of its own
        last = _nearest(reversed(last.contents))
    what = last.name if last is not None else ""
    if _HEADING.fullmatch(parent.name):
        parent["id" if label else "class"] = label or "unnumbered"
    elif what == "script":
        last.wrap(soup.new_tag("div", attrs={"class": "equation", "id": label}))
    elif what == "img":  # its alternative text is its caption
        caption = BeautifulSoup(f"<figcaption>{last['alt']}</figcaption>", "html.parser")
        last["alt"] = caption.get_text()
        figure = last.wrap(soup.new_tag("figure", id=label))
        figure.append(caption)
        if figure.parent.name == "p":
            figure.parent.unwrap()


def _kind(label: str) -> str | None:
    """Return what a label names, by its prefix."""
    prefix, dash, _ = label.partition("-")
    return prefix if dash and prefix in NAMES else None


@dataclass
class _Numbers:
    """Give numbers to what has a label or a caption, and remember them for what refers to it."""

    fault: Callable[[str], None]
    of: dict[str, str | None] = field(default_factory=dict)  # an identifier's number

    def register(self, tag: Tag, kind: str, number: str | None) -> None:
        """Give an element its identifier; a second automatic one gets a suffix."""
        label = free = tag.get("id") or f"{kind}-{number or len(self.of)}"
        if _kind(label) and label in self.of:
            self.fault(f"the label {label} is used twice")
        elif _kind(label) not in (None, kind):
            self.fault(f"the label {label} is on a {NAMES[kind].lower()}")
        while free in self.of:
            free = f"{free}-{len(self.of)}"
        tag["id"] = free
        self.of[free] = number

    def number_sections(self, soup: BeautifulSoup) -> None:
        """Number the headings; their levels start at one and skip none."""
        headings, counter = soup.find_all(_HEADING), []
        top = min((int(heading.name[1]) for heading in headings), default=1)
        for heading in headings:
            level = min(int(heading.name[1]) - top + 1, len(counter) + 1, 5)
            heading.name, number = f"h{level}", None
            if _REFERENCES.fullmatch(heading.get_text().strip()):
                heading["class"] = "unnumbered"
            if "unnumbered" not in heading.get("class", ()):
                counter = [*counter[:level], *[0] * (level - len(counter))]
                counter[-1] += 1
                number = ".".join(map(str, counter))
                heading.insert(0, soup.new_tag("span", string=number, attrs={"class": "number"}))
            self.register(heading, "sec", number)

    def number_others(self, soup: BeautifulSoup) -> None:
        """Number the equations, figures and tables that have a label or a caption."""
        counts = dict.fromkeys(NAMES, 0)
        for tag in soup.select("figure, table, div.equation"):
            kind, caption = _KINDS[tag.name], tag.find(["figcaption", "caption"], recursive=False)
            if _kind(tag.get("id", "")) or (caption and caption.get_text().strip()):
                counts[kind] += 1
                self.register(tag, kind, str(counts[kind]))
                tag["data-number"] = counts[kind]
                if caption:
                    name = f"{NAMES[kind]}\u00a0{counts[kind]}."
                    caption.insert(0, soup.new_tag("strong", string=name))
                    caption.insert(1, " ")

    def link(self, soup: BeautifulSoup, cites: bool) -> bool:
        """Make links of references, and mark citations for pandoc; tell whether there are any."""
        cited = []

        def replace(match: re.Match) -> str:
            labels = [key[1:] for key in re.findall(_KEY, match[0])]
            if all(map(_kind, labels)):
                return re.sub(_KEY, self.refer, match[0].strip("[]"))
            if any(map(_kind, labels)):
                self.fault(f"one bracket mixes references and citations: {match[0]}")
            cited.extend(labels)
            return f'<span class="cite">{match[0]}</span>' if cites else match[0]

        _replace(soup, _CITED, replace)
        return bool(cites and cited)

    def refer(self, match: re.Match) -> str:
        """Return a link to what `@fig-x` names."""
        label = match[0][1:]
        kind, number = _kind(label), self.of.get(label)
        if number is None:
            why = " with a number" if label in self.of else ""
            self.fault(f"the reference @{label} has no target{why}")
        shown = f"({number})" if kind == "eq" else number
        return f'<a class="crossref" href="#{label}">{NAMES[kind]}\u00a0{shown}</a>'


def _place_references(soup: BeautifulSoup) -> None:
    """Give the list of references its place: under "References", or at the end."""
    titled = (h for h in soup.find_all(_HEADING) if _REFERENCES.fullmatch(h.get_text().strip()))
    heading = next(titled, None)
    if heading is None:
        heading = soup.new_tag("h1", id="references", string="References")
        soup.append(heading)
    heading["class"] = "unnumbered"
    heading.insert_after(soup.new_tag("div", id="refs", attrs={"class": "refs"}))


def _mend_links(soup: BeautifulSoup) -> None:
    """Let what an author named be a place to link to, and unlink what leads nowhere."""
    places: dict[str, str] = {}
    for tag in soup.find_all(lambda tag: tag.get("id") or (tag.name == "a" and tag.get("name"))):
        name = tag.attrs.pop("id", None) or tag.attrs.pop("name")
        if name.lower() not in places:
            places[name.lower()] = name
            if tag.get("class") or re.fullmatch("h[1-6]|figure|table", tag.name):
                tag["id"] = name
            else:
                tag.insert(0, soup.new_tag("span", id=name))
    for anchor in soup.find_all("a", href=re.compile("^#.")):
        if target := places.get(anchor["href"][1:].lower()):
            anchor["href"] = f"#{target}"
        else:
            anchor.unwrap()
