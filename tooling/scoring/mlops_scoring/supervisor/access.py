"""The calls of the admin interface that are about secrets: keys, tokens, the certificate."""

from __future__ import annotations

import logging

from mlops_scoring.documents import InvalidDocument
from mlops_scoring.supervisor.credentials import TooSoon, read_order
from mlops_scoring.supervisor.front import Front

_log = logging.getLogger("mlops_scoring.supervisor")

Reply = tuple[int, dict[str, object]]
"""Status and JSON of an answer."""


async def credentials(front: Front, body: bytes = b"") -> Reply:
    """The two keys, by Azure ML's names; never what tokens are signed with."""
    del body
    found = front.credentials.credentials
    return 200, {"primary_key": found.primary, "secondary_key": found.secondary}


async def token(front: Front, body: bytes) -> Reply:
    """A new token."""
    del body
    return 200, await front.issue_token()


async def regenerate(front: Front, body: bytes) -> Reply:
    """Make one secret anew."""
    try:
        key_type, revoke = read_order(body)
        await front.regenerate(key_type, revoke=revoke)
    except InvalidDocument as invalid:
        return 400, {"message": str(invalid), "problems": list(invalid.problems)}
    except TooSoon as soon:
        return 409, {"message": f"Not yet: {soon}. To refuse all tokens issued so far, say 'revoke': true."}
    except OSError as error:
        return 507, {"message": f"The new secret cannot be kept, so the old one stays: {error.strerror}."}
    _log.info("made anew: the %s key", key_type)
    return await credentials(front)


async def reload_certificate(front: Front, body: bytes) -> Reply:
    """Load the certificate's files now."""
    del body
    if front.certificate is None:
        return 409, {"message": "This endpoint has no TLS."}
    loaded = front.certificate.reload()
    report = front.certificate.report()
    return (200, report) if loaded else (422, {"message": f"Kept the old one: {report['problem']}.", **report})
