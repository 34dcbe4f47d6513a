"""The distributed layout: what makes it of the ordinary one, step by step.

Tracks and spent keys are distributed by the user's name, so that a save, the last track and all
else of one user concern one shard. Whatever is unique contains the user: a track's number comes
from the one sequence all the same, but a key is unique for each user only. Runs are read by
every save and have no user; they stay in one place, the coordinator.

Without Citus the layout is the same, in one shard.
"""

from cybertools.tracking.sql.postgres.steps import Step
from cybertools.tracking.sql.rollup_tables import DROP_POSTGRES

__all__ = ["DISTRIBUTION"]

_PRIMARY_COLUMNS = (
    "SELECT indnatts = 2 FROM pg_index WHERE indisprimary AND indrelid = '{table}'::regclass"
)
_IN_CITUS = "SELECT count(*) > 0 FROM pg_dist_partition WHERE logicalrelid = to_regclass('{table}')"
_USERS_OF_KEYS = (
    "UPDATE {keys} k SET userName = t.userName FROM {tracks} t"
    " WHERE t.number = k.number AND k.userName IS NULL"
)

DISTRIBUTION = (
    Step(
        "remove the rollup: distributed tables can have no triggers",
        DROP_POSTGRES,
        done="SELECT to_regclass('{tracks}_rollup_zones') IS NULL",
    ),
    Step(
        "index the tracks by what will be their primary key",
        """
DROP INDEX CONCURRENTLY IF EXISTS {schema}.{prefix}_pkey_new;
CREATE UNIQUE INDEX CONCURRENTLY {prefix}_pkey_new ON {tracks} (number, userName)
""",
        done=_PRIMARY_COLUMNS.replace("{table}", "{tracks}"),
        alone=True,
    ),
    Step(
        "make it their primary key, so that it contains the user",
        """
ALTER TABLE {tracks} DROP CONSTRAINT {prefix}_pkey,
    ADD CONSTRAINT {prefix}_pkey PRIMARY KEY USING INDEX {prefix}_pkey_new,
    ALTER number SET DEFAULT nextval('{tracks}_number')
""",
        done=_PRIMARY_COLUMNS.replace("{table}", "{tracks}"),
    ),
    Step(
        "give each key its user",
        f"""
ALTER TABLE {{keys}} ADD COLUMN IF NOT EXISTS userName text COLLATE "C";
CREATE TABLE IF NOT EXISTS {{orphaned}} (
    key text COLLATE "C" PRIMARY KEY,
    number bigint NOT NULL
);
{_USERS_OF_KEYS}
""",
        done=_PRIMARY_COLUMNS.replace("{table}", "{keys}"),
    ),
    Step(
        "index the keys by what will be their primary key",
        """
DROP INDEX CONCURRENTLY IF EXISTS {schema}.{prefix}_keys_pkey_new;
CREATE UNIQUE INDEX CONCURRENTLY {prefix}_keys_pkey_new ON {keys} (key, userName)
""",
        done=_PRIMARY_COLUMNS.replace("{table}", "{keys}"),
        alone=True,
    ),
    Step(
        "make it their primary key; from now on the storage is laid out for distribution",
        f"""
LOCK TABLE {{keys}};
{_USERS_OF_KEYS};
INSERT INTO {{orphaned}} (key, number) SELECT key, number FROM {{keys}} WHERE userName IS NULL;
DELETE FROM {{keys}} WHERE userName IS NULL;
ALTER TABLE {{keys}} ALTER userName SET NOT NULL,
    DROP CONSTRAINT {{prefix}}_keys_pkey,
    ADD CONSTRAINT {{prefix}}_keys_pkey PRIMARY KEY USING INDEX {{prefix}}_keys_pkey_new;
UPDATE {{schema}}.storages SET layout = 'distributed' WHERE prefix = '{{prefix}}'
""",
        done=_PRIMARY_COLUMNS.replace("{table}", "{keys}"),
    ),
    Step(
        "let the workers know the storages, so that one can be opened through any of them",
        "SELECT citus_add_local_table_to_metadata('{schema}.storages')",
        done=_IN_CITUS.replace("{table}", "{schema}.storages"),
        citus=True,
    ),
    Step(
        "let the workers know the runs, which stay on the coordinator",
        "SELECT citus_add_local_table_to_metadata('{runs}')",
        done=_IN_CITUS.replace("{table}", "{runs}"),
        citus=True,
    ),
    Step(
        "and the keys of tracks that were removed",
        "SELECT citus_add_local_table_to_metadata('{orphaned}')",
        done=_IN_CITUS.replace("{table}", "{orphaned}"),
        citus=True,
    ),
    Step(
        "distribute the tracks by their users",
        "SELECT create_distributed_table{concurrently}('{tracks}', 'username')",
        done=_IN_CITUS.replace("{table}", "{tracks}"),
        alone=True,
        citus=True,
    ),
    Step(
        "distribute the keys in the same way",
        "SELECT create_distributed_table{concurrently}("
        "'{keys}', 'username', colocate_with => '{tracks}')",
        done=_IN_CITUS.replace("{table}", "{keys}"),
        alone=True,
        citus=True,
    ),
)
