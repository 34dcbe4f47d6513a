"""Pages for people: what is in the storages, in a browser. One door more, beside the API.

They are made on the server, of the contract and of reports, and work without a script; the script
adds what is convenient. All of what they load is the service's own.
"""

from cybertools.tracking.service.access.keeping import Tokens
from cybertools.tracking.service.access.sessions import Sessions
from cybertools.tracking.service.endpoints import Endpoint
from cybertools.tracking.service.web import (
    assets,
    behind,
    explore,
    flows,
    lists,
    manage,
    overview,
    signing,
)
from cybertools.tracking.service.web.site import Site

__all__ = ["pages"]

PAGES = [
    *signing.PAGES,
    *overview.PAGES,
    *lists.PAGES,
    *explore.PAGES,
    *flows.PAGES,
    *behind.PAGES,
    *manage.PAGES,
]


def pages(sessions: Sessions, tokens: Tokens) -> list[Endpoint]:
    """The pages, as endpoints for `make_app`.

    :param tokens: those that admins see, make and revoke.
    """
    site = Site(sessions, tokens)
    return [*map(site.endpoint, PAGES), *assets.ENDPOINTS]
