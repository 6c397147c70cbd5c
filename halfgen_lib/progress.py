"""Where long work stands: a line for each part that ends, what is left, and when it will end."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any


def countdown(parts: Iterable[float]) -> Callable[..., str]:
    """Return what is called with each part as it ends, and tells how many are left and until when.

    The ``parts`` are their shares of the work; time is taken to pass in proportion to them.
    """
    left, ended, start = list(parts), 0.0, time.monotonic()

    def tell(part: float = 1) -> str:
        nonlocal ended
        left.remove(part)
        ended += part
        if not left:
            return "0 left"
        remaining = timedelta(seconds=round((time.monotonic() - start) / ended * sum(left)))
        end = datetime.now() + remaining
        return f"{len(left)} left, about {remaining}, until {end:%a %H:%M}"

    return tell


def steps(work: Mapping[str, Callable[[], Any]]) -> Iterator[tuple[str, Any]]:
    """Do each piece of work, yield its name and its result, and print a line once it is done."""
    tell = countdown([1] * len(work))
    for number, (name, do) in enumerate(work.items(), 1):
        result = do()
        print(f"{number}/{len(work)} done, {tell()} | {name}", flush=True)
        yield name, result
