CREATE SCHEMA IF NOT EXISTS tracking;
CREATE TABLE IF NOT EXISTS tracking.storages (
    name text COLLATE "C" PRIMARY KEY,
    prefix text NOT NULL UNIQUE,
    version integer NOT NULL
);

CREATE SEQUENCE tracking.tracks_number;
CREATE TABLE tracking.tracks (
    number bigint PRIMARY KEY,
    taskId text COLLATE "C" NOT NULL,
    runId bigint NOT NULL,
    userName text COLLATE "C" NOT NULL,
    timeStamp double precision NOT NULL,
    data json NOT NULL
);
ALTER SEQUENCE tracking.tracks_number OWNED BY tracking.tracks.number;
CREATE TABLE tracking.tracks_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    taskId text COLLATE "C",
    label text COLLATE "C",
    startedAt double precision NOT NULL,
    stoppedAt double precision,
    finished boolean NOT NULL DEFAULT FALSE,
    isCurrent boolean NOT NULL DEFAULT FALSE
);
CREATE UNIQUE INDEX ON tracking.tracks_runs (taskId) WHERE isCurrent;
CREATE UNIQUE INDEX ON tracking.tracks_runs (taskId, label) WHERE label IS NOT NULL;
CREATE INDEX ON tracking.tracks_runs (id) WHERE finished;
CREATE TABLE tracking.tracks_keys (key text COLLATE "C" PRIMARY KEY, number bigint NOT NULL);
CREATE VIEW tracking.tracks_view AS SELECT to_char(number, 'FM0000000') AS id, taskId, runId, userName,
    to_timestamp(timeStamp) AS time, data FROM tracking.tracks;

CREATE INDEX tracks_by_task_user ON tracking.tracks (taskId, userName, runId, timeStamp, number);
CREATE INDEX tracks_by_task ON tracking.tracks (taskId, number);
CREATE INDEX tracks_by_user ON tracking.tracks (userName, number);
CREATE INDEX tracks_by_run ON tracking.tracks (runId, timeStamp, number);
CREATE INDEX tracks_by_time ON tracking.tracks (timeStamp, number);

INSERT INTO tracking.storages (name, prefix, version) VALUES ('tracks', 'tracks', 1);
