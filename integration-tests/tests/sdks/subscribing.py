"""The official Python client completes arguments, subscribes to the failures, and is told when one is recorded.

Usage: subscribing.py URL-OF-A-SERVER legacy|auto http|sse URL | ... stdio COMMAND ARGUMENTS...
"""

import asyncio
import sys
import urllib.error
import urllib.request
import warnings

from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.types import PromptReference, ResourceTemplateReference, ResourceUpdatedNotification

FAILURES = "headwater://failures"
warnings.simplefilter("ignore")


def fail(url):
    try:
        urllib.request.urlopen(url).read()
    except urllib.error.HTTPError as error:
        assert error.code == 404, error


async def complete(client):
    async def offered(ref, name, value):
        return (await client.complete(ref, {"name": name, "value": value})).completion

    prompt = PromptReference(type="ref/prompt", name="investigate_error")
    services = await offered(prompt, "service", "NGINX")
    assert services.values and services.values[0].startswith("nginx") and not services.has_more, services
    routes = await offered(prompt, "route", "/miss")
    assert routes.values and routes.total == len(routes.values), routes
    assert "-15m" in (await offered(prompt, "since", "1")).values
    header = PromptReference(type="ref/prompt", name="trace_transaction")
    assert "user-agent" in (await offered(header, "header", "user")).values
    template = ResourceTemplateReference(type="ref/resource", uri="headwater://exchange/{id}")
    failed = await offered(template, "id", "x_")
    assert "/missing/" in (await client.read_resource(f"headwater://exchange/{failed.values[0]}")).contents[0].text
    try:
        await offered(prompt, "canary", "")
    except Exception as error:
        assert "takes symptom" in str(error) and "canary" not in str(error), error
    else:
        raise AssertionError("an unknown argument was completed")


async def told(client, updates, era, url):
    """Whether it is told of what fails while it is subscribed, by a resource that has it."""
    if era == "legacy":
        await client.subscribe_resource(FAILURES)
        await asyncio.to_thread(fail, url)
        update = await updates.get()
        assert str(update.params.uri) == FAILURES, update
        await client.unsubscribe_resource(FAILURES)
    else:
        async with client.listen(resource_subscriptions=[FAILURES]) as subscription:
            events = aiter(subscription)
            # Something has failed before.
            assert str((await anext(events)).uri) == FAILURES
            await asyncio.to_thread(fail, url)
            assert str((await anext(events)).uri) == FAILURES
    text = (await client.read_resource(FAILURES)).contents[0].text
    assert "status 404" in text, text


async def main():
    url, era, over, target, *rest = sys.argv[1:]
    if over == "sse":
        target = sse_client(target)
    elif over == "stdio":
        target = stdio_client(StdioServerParameters(command=target, args=rest))
    updates = asyncio.Queue()

    async def heard(message):
        if isinstance(message, ResourceUpdatedNotification):
            updates.put_nowait(message)

    async with Client(target, mode=era, message_handler=heard) as client:
        listed = {str(resource.uri) for resource in (await client.list_resources()).resources}
        assert FAILURES in listed, listed
        await complete(client)
        async with asyncio.timeout(60):
            await told(client, updates, era, f"{url}/missing/{over}-{era}")
    print("completed and told")


asyncio.run(main())
