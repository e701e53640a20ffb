"""The wall: streams in browsers and players, by HTTP."""
