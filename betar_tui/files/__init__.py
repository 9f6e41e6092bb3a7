"""Files, directories and sockets, opened with care. No other room opens any, except that the store lets SQLite open a
database that was looked at here before.

Only plain files are read or written: a fifo or a device may block or never end. A link is followed where this user or root
has put it, into a directory where nobody else can have put it; so a person's own link from `config.toml` to a folder of
dot-files works and stays, while a link that somebody planted in a shared directory is refused. Only plain files of this
user's own are ever replaced, and a new one appears under its name when it is complete.

What is refused raises `rules.RefusedError`; like every OSError it becomes a sentence with `rules.explain`.
(docs/files.md)"""
