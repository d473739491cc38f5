"""Names of sites as users write them: in full, or by what they end in. Losses, links and node metrics all read them."""

from __future__ import annotations

from collections.abc import Iterable


def named(said: str, sites: Iterable[str]) -> tuple[str, ...]:
    """Return the sites that ``said`` names, in the order given; none when it names none.

    In this order, the first that finds any: the site of that very name; the model calls made in the function of that
    name; the sites that end in it after a dot; the model calls made in a function that does. So ``answer`` is
    ``app.answer`` if that was traced, else ``app.answer:chat``.

    >>> named("answer", ["app.answer:chat", "app.plan"])
    ('app.answer:chat',)
    """
    known = tuple(dict.fromkeys(sites))
    made_in = {site: site.rpartition(":")[0] for site in known}
    tail = f".{said}"
    ways = (
        (site for site in known if site == said),
        (site for site in known if made_in[site] == said),
        (site for site in known if site.endswith(tail)),
        (site for site in known if made_in[site].endswith(tail)),
    )
    return next((found for way in ways if (found := tuple(way))), ())
