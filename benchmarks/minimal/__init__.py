"""The limit of the inbound path: a server that does the same durable work for a typed word and nothing else, tuned by hand.

The same HTTP server, the same tables, the same checks, seals and rows; no ORM, no bots, few statements. `envelope` and `turn` are shared,
`sqlite` and `postgres` are the two servers.
"""
