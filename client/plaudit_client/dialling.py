"""Opens the socket of a session."""

import asyncio

import aiohttp

from plaudit_client.connect_errors import reason_of, retry_after_of
from plaudit_client.errors import Loss
from plaudit_client.frames import SUBPROTOCOL
from plaudit_client.options import Options

CLOSE_TIMEOUT = 1.0


async def dial(
    http: aiohttp.ClientSession, url: str, token: str, options: Options
) -> aiohttp.ClientWebSocketResponse | Loss:
    """Returns the open socket, or why there is none."""
    try:
        async with asyncio.timeout(options.dial_timeout):
            return await http.ws_connect(
                url,
                protocols=(SUBPROTOCOL,),
                headers={"Authorization": f"Bearer {token}"},
                ssl=options.tls or True,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT),
            )
    except aiohttp.WSServerHandshakeError as error:
        return Loss(reason=error.message, status=error.status, retry_after=retry_after_of(error))
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return Loss(reason=reason_of(error))
