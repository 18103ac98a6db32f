"""Against servers that nobody here wrote: `make interop`."""
