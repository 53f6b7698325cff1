"""Runs in mongoeco's own environment: prints its port, then serves until the end of stdin.

It adds `collMod` for TTL indexes, which mongoeco lacks: the index is dropped and created with the new age.
"""

import asyncio
import sys
from typing import Any

from mongoeco.wire import AsyncMongoEcoProxyServer
from mongoeco.wire.auth import WireAuthUser
from mongoeco.wire.protocol import OP_MSG, decode_op_msg, encode_op_msg_response


class Server(AsyncMongoEcoProxyServer):  # type: ignore[misc]  # mypy's environment doesn't have it
    async def _dispatch_wire_request(self, header: Any, payload: bytes, *, connection: Any) -> Any:
        if header.op_code == OP_MSG:
            body = decode_op_msg(header, payload).body
            if "collMod" in body:
                await self._change(self._client[body["$db"]][body["collMod"]], body["index"])
                return encode_op_msg_response({"ok": 1.0}, request_id=1, response_to=header.request_id)
        return await super()._dispatch_wire_request(header, payload, connection=connection)

    async def _change(self, collection: Any, index: dict[str, Any]) -> None:
        keys = (await collection.index_information())[index["name"]]["key"]
        await collection.drop_index(index["name"])
        await collection.create_index(keys, expire_after_seconds=index["expireAfterSeconds"])


async def main(user: str, password: str) -> None:
    server = Server(port=0, auth_users=(WireAuthUser(user, password),))
    await server.start()
    sys.stdout.write(f"{server.address.port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await server.close()


asyncio.run(main(*sys.argv[1:]))
