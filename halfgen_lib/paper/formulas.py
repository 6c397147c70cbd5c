"""Make pandoc read the TeX that MathJax reads.

A macro of one cell holds for the whole notebook: pandoc's TeX reader takes definitions at the head
of a formula, so each formula gets those that it uses. `templates/macros.tex` does the same for
commands that MathJax has and pandoc lacks.
"""

import re

from bs4 import BeautifulSoup

from . import TEMPLATES

_BODY = r"\{(?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*\}"  # braces, four deep
_DEFINITION = re.compile(
    r"\\(?P<how>newcommand|renewcommand|providecommand|DeclareMathOperator|def)(?P<star>\*?)\s*"
    r"\{?\\(?P<name>[A-Za-z]+)\}?\s*(?P<hashes>(?:#\d)*)(?P<args>(?:\[[^\]]*\])*)\s*"
    rf"(?P<body>{_BODY})"
)
_FONT = re.compile(r"\{\s*\\(rm|bf|it|tt|sf|cal)(?![A-Za-z])\s*")
_BREAK = re.compile(r"\\(?:cr|newline)(?![A-Za-z])")


def mend_formulas(soup: BeautifulSoup) -> None:
    """Put before each formula the macros that it uses, and write old TeX in newer forms."""
    macros = _definitions((TEMPLATES / "macros.tex").read_text(encoding="utf-8"))
    for text in soup.find_all(string=_DEFINITION):
        if text.parent.name in ("script", "p"):  # in code it is an example
            macros.update(_definitions(text))
            text.replace_with(type(text)(_DEFINITION.sub("", text)))
    for script in soup.find_all("script"):
        tex = script["data-tex"] = script.string or ""
        if not tex.strip():
            script.decompose()
            continue
        tex = _FONT.sub(r"\\math\1{", _BREAK.sub(r"\\\\ ", tex))
        if re.search(r"\\\\|(?<!\\)&", tex) and not re.search(r"\\(begin|substack)", tex):
            tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
        script.string = "".join(_used(tex, macros)) + tex


def _definitions(text: str) -> dict[str, str]:
    r"""Return the macros that a text defines, by name, each as a `\newcommand`."""
    found = {}
    for match in _DEFINITION.finditer(text):
        name, args = match["name"], match["args"]
        how = "DeclareMathOperator" if match["how"] == "DeclareMathOperator" else "newcommand"
        if match["hashes"]:
            args = f"[{match['hashes'].count('#')}]"
        found[name] = rf"\{how}{match['star']}{{\{name}}}{args}{match['body']}"
    return found


def _used(tex: str, macros: dict[str, str]) -> list[str]:
    """Return the definitions that a formula needs, those of its macros' macros with them."""
    needed: dict[str, str] = {}
    todo = [tex]
    while todo:
        for name in re.findall(r"\\([A-Za-z]+)", todo.pop()):
            if name in macros and name not in needed:
                needed[name] = macros[name]
                todo.append(macros[name])
    return list(reversed(needed.values()))
