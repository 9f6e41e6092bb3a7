"""Whether others can dial this peer: the address they see it under, AutoNAT, and a port forwarded by the router."""
