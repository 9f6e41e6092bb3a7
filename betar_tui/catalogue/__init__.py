"""The catalogue: what the market shows, as a projection of the replica in its own database.

A listing is a row of columns for what is sorted and filtered, with its texts in search indexes; its value stays where it
is, in the block that brought it. Everything here follows from the replica's values and can be made afresh from them at
any time. Memory holds what is being asked for.

`schema` has the tables, `projecting` makes a row of a value, `versions` decides which value of a listing is shown,
`rows` writes rows, `projection` follows small merges in their own transaction, `backlog` works off the rest, `reader`
reads listings, `query` finds them, `search_index` has the indexes of their texts, `files` knows the metadata files,
`checking` compares with a projection made afresh, and `catalogue` joins these for the peer."""
