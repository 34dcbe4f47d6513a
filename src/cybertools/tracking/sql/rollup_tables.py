"""The tables and triggers of a rollup, as each database has them.

Each statement is ended by ``;`` and a line's end, so none of a trigger's own may be.
"""

__all__ = [
    "DATA_POSTGRES",
    "DATA_SQLITE",
    "DROP_POSTGRES",
    "DROP_SQLITE",
    "POSTGRES",
    "SQLITE",
]

SQLITE = """
CREATE TABLE {zones} (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    fingerprint INTEGER NOT NULL, -- of its days
    upto INTEGER NOT NULL         -- the tracks up to this number are in the cells
) STRICT;
CREATE TABLE {cells} (
    series INTEGER NOT NULL,      -- zone, kind of key, length of period
    period INTEGER NOT NULL,
    key TEXT NOT NULL,
    tracks INTEGER NOT NULL,
    PRIMARY KEY (series, period, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX {prefix}_rollup_gone ON {cells} (series) WHERE tracks = 0;
CREATE TABLE {changes} (
    number INTEGER NOT NULL,
    taskId TEXT NOT NULL,
    runId INTEGER NOT NULL,
    userName TEXT NOT NULL,
    timeStamp REAL NOT NULL,
    n INTEGER NOT NULL            -- 1: is there since; -1: is not any more; 0: has other data
) STRICT;
CREATE TABLE {questions} (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    upto INTEGER NOT NULL         -- tracks of higher numbers may be missing in the slices
) STRICT;
CREATE TABLE {slices} (
    question INTEGER NOT NULL,
    slice INTEGER NOT NULL,       -- a day of UTC since 1970
    answer TEXT NOT NULL,         -- its rows, as JSON
    PRIMARY KEY (question, slice)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER {prefix}_rollup_removed AFTER DELETE ON {tracks} BEGIN INSERT INTO {changes}
    VALUES (old.number, old.taskId, old.runId, old.userName, old.timeStamp, -1); END;
CREATE TRIGGER {prefix}_rollup_changed
    AFTER UPDATE OF number, taskId, runId, userName, timeStamp ON {tracks}
    WHEN (old.number, old.taskId, old.runId, old.userName, old.timeStamp)
    <> (new.number, new.taskId, new.runId, new.userName, new.timeStamp)
    BEGIN INSERT INTO {changes} VALUES
    (old.number, old.taskId, old.runId, old.userName, old.timeStamp, -1),
    (new.number, new.taskId, new.runId, new.userName, new.timeStamp, 1); END
"""

DATA_SQLITE = """
CREATE TRIGGER {prefix}_rollup_data AFTER UPDATE OF data ON {tracks}
    WHEN old.data <> new.data BEGIN INSERT INTO {changes}
    VALUES (new.number, new.taskId, new.runId, new.userName, new.timeStamp, 0); END
"""
"""It is made when values in data are kept: updates of others need not tell."""

DROP_SQLITE = """
DROP TRIGGER IF EXISTS {prefix}_rollup_removed;
DROP TRIGGER IF EXISTS {prefix}_rollup_changed;
DROP TRIGGER IF EXISTS {prefix}_rollup_data;
DROP TABLE IF EXISTS {zones};
DROP TABLE IF EXISTS {cells};
DROP TABLE IF EXISTS {changes};
DROP TABLE IF EXISTS {questions};
DROP TABLE IF EXISTS {slices}
"""
"""Also of a rollup that had fewer tables."""

POSTGRES = """
SET LOCAL lock_timeout = '1s';
CREATE TABLE {zones} (
    id integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    fingerprint bigint NOT NULL,
    upto bigint NOT NULL
);
CREATE TABLE {cells} (
    series integer NOT NULL,
    period integer NOT NULL,
    key text COLLATE "C" NOT NULL,
    tracks bigint NOT NULL,
    PRIMARY KEY (series, period, key)
);
CREATE INDEX {prefix}_rollup_gone ON {cells} (series) WHERE tracks = 0;
CREATE TABLE {changes} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number bigint NOT NULL,
    taskId text COLLATE "C" NOT NULL,
    runId bigint NOT NULL,
    userName text COLLATE "C" NOT NULL,
    timeStamp double precision NOT NULL,
    n integer NOT NULL
);
CREATE TABLE {questions} (
    id integer PRIMARY KEY,
    name text NOT NULL UNIQUE,
    upto bigint NOT NULL
);
CREATE TABLE {slices} (
    question integer NOT NULL,
    slice integer NOT NULL,
    answer text NOT NULL,
    PRIMARY KEY (question, slice)
);
CREATE FUNCTION {tracks}_rollup_note() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ BEGIN
    INSERT INTO {changes} (number, taskId, runId, userName, timeStamp, n)
    VALUES (OLD.number, OLD.taskId, OLD.runId, OLD.userName, OLD.timeStamp, -1); IF
    TG_OP = 'UPDATE' THEN INSERT INTO {changes} (number, taskId, runId, userName, timeStamp, n)
    VALUES (NEW.number, NEW.taskId, NEW.runId, NEW.userName, NEW.timeStamp, 1); END IF; RETURN
    NULL; END $$;
REVOKE ALL ON FUNCTION {tracks}_rollup_note() FROM PUBLIC;
CREATE TRIGGER {prefix}_rollup_removed AFTER DELETE ON {tracks}
    FOR EACH ROW EXECUTE FUNCTION {tracks}_rollup_note();
CREATE TRIGGER {prefix}_rollup_changed
    AFTER UPDATE OF number, taskId, runId, userName, timeStamp ON {tracks} FOR EACH ROW
    WHEN ((OLD.number, OLD.taskId, OLD.runId, OLD.userName, OLD.timeStamp)
    <> (NEW.number, NEW.taskId, NEW.runId, NEW.userName, NEW.timeStamp))
    EXECUTE FUNCTION {tracks}_rollup_note()
"""
"""The function that notes a change has the rights of whoever made it: those who save need none."""

DATA_POSTGRES = """
SET LOCAL lock_timeout = '1s';
CREATE FUNCTION {tracks}_rollup_note_data() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ BEGIN
    INSERT INTO {changes} (number, taskId, runId, userName, timeStamp, n)
    VALUES (NEW.number, NEW.taskId, NEW.runId, NEW.userName, NEW.timeStamp, 0); RETURN
    NULL; END $$;
REVOKE ALL ON FUNCTION {tracks}_rollup_note_data() FROM PUBLIC;
CREATE TRIGGER {prefix}_rollup_data AFTER UPDATE OF data ON {tracks}
    FOR EACH ROW WHEN (OLD.data::text <> NEW.data::text)
    EXECUTE FUNCTION {tracks}_rollup_note_data()
"""

DROP_POSTGRES = """
DROP FUNCTION IF EXISTS {tracks}_rollup_note() CASCADE;
DROP FUNCTION IF EXISTS {tracks}_rollup_note_data() CASCADE;
DROP TABLE IF EXISTS {tracks}_rollup_zones, {tracks}_rollup_cells, {tracks}_rollup_changes,
    {tracks}_rollup_questions, {tracks}_rollup_slices
"""
