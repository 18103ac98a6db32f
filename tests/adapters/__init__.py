"""One contract suite for every protocol, over real sockets, and what is peculiar to each."""
