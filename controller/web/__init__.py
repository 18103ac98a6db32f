"""The HTTP side: events in, status out, on loopback behind a token.

`api` has the routes, `openadr` turns an OpenADR 3.1 event into ours, `server` runs it inside
the app's loop without touching its signals. To add a route: a function in `api`, a method of
the controller behind it, a test that calls it without a token.
"""
