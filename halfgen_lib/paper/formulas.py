"""Make pandoc read the TeX that MathJax reads.

A macro of one cell holds for the whole notebook: pandoc's TeX reader takes definitions at the head
of a formula, so each formula gets those that it needs. `templates/macros.tex` does the same for
commands that MathJax has and pandoc lacks.
"""

import re

from bs4 import BeautifulSoup

from . import TEMPLATES

_BODY = r"\{(?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*\}"  # braces, four deep
_DEFINITION = re.compile(
    r"\\(newcommand|renewcommand|providecommand|DeclareMathOperator|def)(\*?)\s*"
    rf"\{{?\\([A-Za-z]+)\}}?\s*((?:#\d)*)((?:\[[^\]]*\])*)\s*({_BODY})"
)
_FONT = re.compile(r"\{\s*\\(rm|bf|it|tt|sf|cal)(?![A-Za-z])\s*")
_BREAK = re.compile(r"\\(?:cr|newline)(?![A-Za-z])")


def mend_formulas(soup: BeautifulSoup) -> None:
    """Put before each formula the macros that it needs, and write old TeX in newer forms."""
    macros = _definitions((TEMPLATES / "macros.tex").read_text(encoding="utf-8"))
    for text in soup.find_all(string=_DEFINITION):
        if text.parent.name in ("script", "p"):  # in code it is an example
            macros |= _definitions(text)
            text.replace_with(type(text)(_DEFINITION.sub("", text)))
    for script in soup.find_all("script"):
        tex = script["data-tex"] = script.string or ""
        if not tex.strip():
            script.decompose()
            continue
        tex = _FONT.sub(r"\\math\1{", _BREAK.sub(r"\\\\ ", tex))
        if re.search(r"\\\\|(?<!\\)&", tex) and not re.search(r"\\(begin|substack)", tex):
            tex = rf"\begin{{aligned}}{tex}\end{{aligned}}"
        script.string = "".join(_needed(tex, macros)) + tex


def _definitions(text: str) -> dict[str, str]:
    r"""Return the macros that a text defines, by name, `\def` among them as `\newcommand`."""
    found = {}
    for how, star, name, hashes, args, body in _DEFINITION.findall(text):
        how = how if how == "DeclareMathOperator" else "newcommand"
        args = f"[{hashes.count('#')}]" if hashes else args
        found[name] = rf"\{how}{star}{{\{name}}}{args}{body}"
    return found


def _needed(tex: str, macros: dict[str, str]) -> list[str]:
    """Return the definitions that a formula needs, those of its macros' macros before them."""
    names = [name for name in re.findall(r"\\([A-Za-z]+)", tex) if name in macros]
    rest = {name: text for name, text in macros.items() if name not in names}
    return [
        d for name in dict.fromkeys(names) for d in (*_needed(macros[name], rest), macros[name])
    ]
