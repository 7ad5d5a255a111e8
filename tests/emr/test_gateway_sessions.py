"""The control plane's requests to a gateway that closes connections when it likes."""

import asyncio
import json
from contextlib import suppress

from drydock_emr.gateway import Gateway

SESSION = json.dumps({"AccessKeyId": "LSIA1"}).encode()
SECRET = "a secret of thirty-two characters"


def test_a_connection_that_the_gateway_closes_meanwhile_is_nobodys_failure() -> None:
    async def ask_twice() -> list[str]:
        handlers: list[asyncio.Task[None]] = []

        async def close_when_used_again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            """Answers one request as if the connection were kept, and closes it when the next one comes."""
            handlers.extend(task for task in [asyncio.current_task()] if task)
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
            await reader.readexactly(int(fields[b"content-length"]))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(SESSION), SESSION))
            with suppress(ConnectionError):
                await reader.read(1)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

        async with await asyncio.start_server(close_when_used_again, "127.0.0.1", 0) as server:
            gateway = Gateway(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", SECRET)
            try:
                return [await key(gateway) for _ in range(2)]
            finally:
                await gateway.close()
                await asyncio.gather(*handlers)

    async def key(gateway: Gateway) -> str:
        session = await gateway.service_session(
            "ec2.amazonaws.com", account_id="000000000000", region="us-east-1", session_name="i-1", role="a"
        )
        return str(session["AccessKeyId"])

    assert asyncio.run(ask_twice()) == ["LSIA1", "LSIA1"]
