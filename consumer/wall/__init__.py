"""The gateway: streams in a browser, over one WebSocket per page. Needs aiohttp (`fanlight[wall]`)."""
