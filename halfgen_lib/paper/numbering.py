"""Number the sections, figures, tables and equations of an HTML document, and link what refers."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bs4 import BeautifulSoup, Comment, NavigableString, PageElement, Tag

from .markdown import inline_markdown

NAMES = {"sec": "Section", "eq": "Equation", "fig": "Figure", "tbl": "Table"}
_LABEL = re.compile(r"\s*(?:#([\w:.-]+)|unnumbered)\s*")
_HEADING = re.compile("h[1-6]")
_REFERENCES = re.compile("references|bibliography", re.IGNORECASE)
_KEY = r"@[A-Za-z](?:[\w:.-]*\w)?"
_ONE = re.compile(f"(-?)({_KEY})")
_CITED = re.compile(rf"\[[^\[\]]*{_KEY}[^\[\]]*\]|(?<![\w@/.]){_KEY}|\\(?:eq)?ref\{{[^{{}}]+\}}")
_NOTE = re.compile(r"\[\^([^\]\s]+)\]")


def number(soup: BeautifulSoup, notes: dict[str, str], cites: bool, fault: Callable) -> None:
    """Number a document in place; `fault` is told what is wrong.

    `notes` are the footnotes' Markdown by their names; with `cites`, `[@key]` is a citation.
    """
    _place_notes(soup, notes)
    for comment in soup.find_all(string=lambda text: isinstance(text, Comment)):
        if match := _LABEL.fullmatch(comment):
            _take_label(soup, comment, match[1])
        comment.extract()
    _take_tex_labels(soup)
    numbers = Numbers(fault)
    numbers.sections(soup)
    numbers.others(soup)
    if numbers.link(soup, cites):
        _place_references(soup)
    _mend_links(soup)


def _place_notes(soup: BeautifulSoup, notes: dict[str, str]) -> None:
    """Put each footnote in place of its mark, whichever cell its text is in."""

    def note(match: re.Match) -> str:
        text = notes.get(match[1])
        return f'<span class="note">{inline_markdown(text)}</span>' if text else match[0]

    _replace(soup, _NOTE, note)


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
    """Move a `<!-- #label -->` onto the heading, equation, image or table that it follows."""
    parent, last = comment.parent, _nearest(comment.previous_siblings)
    above = _nearest(parent.previous_siblings)
    if last is not None and last.name == "p":  # the comment is a block of its own
        last = _nearest(reversed(last.contents))
    if _HEADING.fullmatch(parent.name):
        parent["id" if label else "class"] = label or "unnumbered"
    elif label is None:
        return
    elif above is not None and above.name == "table" and parent.get_text().startswith(":"):
        parent.contents[0].replace_with(parent.contents[0].lstrip(": "))
        above["id"], parent.name = label, "caption"
        above.insert(0, parent.extract())
    elif last is not None and last.name == "script":
        last.wrap(soup.new_tag("div", attrs={"class": "equation", "id": label}))
    elif last is not None and last.name == "img":
        _make_figure(soup, last, label)


def _make_figure(soup: BeautifulSoup, image: Tag, label: str) -> None:
    """Make a figure of an image whose alternative text is its caption."""
    caption = BeautifulSoup(image["alt"], "html.parser")
    image["alt"] = caption.get_text()
    figure = image.wrap(soup.new_tag("figure", id=label))
    figure.append(soup.new_tag("figcaption"))
    figure.figcaption.append(caption)
    if figure.parent.name == "p":
        figure.parent.unwrap()


def _take_tex_labels(soup: BeautifulSoup) -> None:
    r"""Let `\label{eq:one}` name its equation, as in LaTeX."""
    for script in soup.find_all("script", string=re.compile(r"\\label\{")):
        label = re.search(r"\\label\{([^{}]*)\}", script.string)
        script.string = re.sub(r"\\label\{[^{}]*\}", "", script.string)
        if label and "equation" not in script.parent.get("class", ()):
            named = {"class": "equation", "id": _tex_label(label[1])}
            script.wrap(soup.new_tag("div", attrs=named))


def _tex_label(name: str) -> str:
    return "eq-" + re.sub("^eq[:-]", "", name)


def _kind(label: str) -> str | None:
    """Return what a label names, by its prefix."""
    prefix, dash, _ = label.partition("-")
    return prefix if dash and prefix in NAMES else None


@dataclass
class Numbers:
    """Give numbers to what has a label or a caption, and remember them for what refers to it."""

    fault: Callable[[str], None]
    of: dict[str, str | None] = field(default_factory=dict)  # an identifier's number

    def register(self, tag: Tag, kind: str, number: str | None) -> None:
        """Give an element its identifier; a second automatic one gets a suffix."""
        label = tag.get("id") or f"{kind}-{number or len(self.of)}"
        if _kind(label) and label in self.of:
            self.fault(f"the label {label} is used twice")
        elif _kind(label) not in (None, kind):
            self.fault(f"the label {label} is on a {NAMES[kind].lower()}")
        free, n = label, 1
        while free in self.of:
            free, n = f"{label}-{n}", n + 1
        tag["id"] = free
        self.of[free] = number

    def sections(self, soup: BeautifulSoup) -> None:
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
                span = soup.new_tag("span", string=number, attrs={"class": "number"})
                heading.insert(0, span)
            self.register(heading, "sec", number)

    def others(self, soup: BeautifulSoup) -> None:
        """Number the equations, figures and tables that have a label or a caption."""
        counts = dict.fromkeys(NAMES, 0)
        for tag in soup.select("figure, table, div.equation"):
            kind = {"figure": "fig", "table": "tbl", "div": "eq"}[tag.name]
            caption = tag.find(["figcaption", "caption"], recursive=False)
            if not (_kind(tag.get("id", "")) or (caption and caption.get_text().strip())):
                continue
            counts[kind] += 1
            self.register(tag, kind, str(counts[kind]))
            tag["data-number"] = counts[kind]
            if caption:
                strong = f"<strong>{NAMES[kind]}\u00a0{counts[kind]}.</strong> "
                caption.insert(0, BeautifulSoup(strong, "html.parser"))

    def link(self, soup: BeautifulSoup, cites: bool) -> bool:
        """Make links of references, and mark citations for pandoc; tell whether there are any."""
        cited = []

        def replace(match: re.Match) -> str:
            text = match[0]
            if text.startswith("\\"):
                label = _tex_label(text.partition("{")[2][:-1])
                shown = f"({self.of.get(label)})" if text[1] == "e" else self.of.get(label)
                return self._link(label, shown) if label in self.of else text
            labels = [one[2][1:] for one in _ONE.finditer(text)]
            if all(map(_kind, labels)):
                *first, last = _ONE.sub(self._refer, text.strip("[]")).split(";")
                return " and ".join(filter(None, [",".join(first), last.strip()]))
            if any(map(_kind, labels)):
                self.fault(f"one bracket mixes references and citations: {text}")
            cited.extend(labels)
            return f'<span class="cite">{text}</span>' if cites else text

        _replace(soup, _CITED, replace)
        return bool(cites and cited)

    def _refer(self, match: re.Match) -> str:
        label, kind = match[2][1:], _kind(match[2][1:])
        number = self.of.get(label)
        if number is None:
            why = " with a number" if label in self.of else ""
            self.fault(f"the reference @{label} has no target{why}")
        shown = f"({number})" if kind == "eq" else number
        return self._link(label, shown if match[1] else f"{NAMES[kind]}\u00a0{shown}")

    def _link(self, label: str, text: str | None) -> str:
        return f'<a class="crossref" href="#{label}">{text}</a>'


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
        name = tag.attrs.pop("id", None) or tag["name"]
        if name.lower() in places:
            continue
        places[name.lower()] = name
        if _HEADING.fullmatch(tag.name) or tag.name in ("figure", "table") or tag.get("class"):
            tag["id"] = name
        else:
            tag.insert(0, soup.new_tag("span", id=name))
    for anchor in soup.find_all("a", href=re.compile("^#.")):
        if target := places.get(anchor["href"][1:].lower()):
            anchor["href"] = f"#{target}"
        else:
            anchor.unwrap()
