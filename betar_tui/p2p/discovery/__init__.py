"""Finding other peers: one module for each way. What they find is dialled and remembered by `dialer`."""
