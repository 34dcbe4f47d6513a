"""Who may do what in the service.

principal   who asks, once let in;  what is raised else
tokens      a token: what it may do, and its text
keeping     the tokens of a database, kept as tracks
audit       who made and revoked tokens, who was refused: tracks as well
limits      how many requests in which time
gate        the hook that each request passes
starting    what `tracks serve` looks at before it listens
middleware  what HTTP needs beside: origins, sizes, headers
"""
