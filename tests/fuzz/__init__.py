"""Fuzzing of all that reads bytes from outside: `python -m tests.fuzz [target[=count] …]`.

`decoders` has the functions that decode one message, `stateful` the protocols that are a conversation; `mutation` makes
their inputs out of samples that `corpus` makes; `guided` runs the decoders under atheris where that is installed."""
