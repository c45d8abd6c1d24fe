"""FastMCP's client does what an agent does: lists, calls, errs, reads, asks for a prompt, gives up.

Usage: with_fastmcp.py http|sse URL TOKEN | stdio COMMAND ARGUMENTS...
"""

import asyncio
import sys

from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport
from fastmcp.exceptions import ToolError


def transport():
    how, target, *rest = sys.argv[1:]
    if how == "http":
        return StreamableHttpTransport(target, auth=BearerAuth(rest[0]))
    if how == "sse":
        return SSETransport(target, auth=BearerAuth(rest[0]))
    return StdioTransport(target, rest, keep_alive=False)


async def main():
    begun = asyncio.Event()

    async def progress(done, total, message):
        begun.set()

    async with Client(transport()) as client:
        names = {tool.name for tool in await client.list_tools()}
        assert {"status", "find_errors", "search_exchanges"} <= names, names
        status = await client.call_tool("status", {})
        assert status.structured_content["coverage"]["as_of"], status
        found = await client.call_tool("find_errors", {})
        assert "/missing/{}" in found.content[0].text or "/missing/one" in found.content[0].text, found
        wrong = await client.call_tool("find_errors", {"sinc": "-1h"}, raise_on_error=False)
        assert wrong.is_error and "did you mean since" in wrong.content[0].text, wrong
        try:
            await client.call_tool("find_errors", {"sinc": "-1h"})
        except ToolError as error:
            assert "did you mean since" in str(error), error
        else:
            raise AssertionError("a tool's error was no exception")
        resources = {str(resource.uri) for resource in await client.list_resources()}
        assert "headwater://coverage" in resources, resources
        read = await client.read_resource("headwater://coverage")
        assert "recorder" in read[0].text, read
        prompt = await client.get_prompt("investigate_error", {"symptom": "GET /missing/one 404"})
        assert "GET /missing/one 404" in prompt.messages[0].content.text, prompt
        # What waits for a request that nobody sends is given up once it is under way.
        waiting = asyncio.create_task(
            client.call_tool("search_exchanges", {"path": "=/never", "wait_s": 25}, progress_handler=progress)
        )
        async with asyncio.timeout(20):
            await begun.wait()
        assert not waiting.done(), waiting
        waiting.cancel()
        try:
            await waiting
        except asyncio.CancelledError:
            pass
        else:
            raise AssertionError("the call was not given up")
        # And the session goes on.
        assert (await client.call_tool("status", {})).structured_content["now"]
    print("fastmcp: all was answered")


asyncio.run(main())
