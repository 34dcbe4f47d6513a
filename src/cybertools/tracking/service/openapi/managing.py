"""Runs, lists of tasks and users, and storages."""

from cybertools.tracking.service.managing import RUNS_MOST
from cybertools.tracking.service.openapi.parts import (
    PAGE_LIMIT,
    STORAGE,
    TASK,
    answer,
    body,
    operation,
    parameter,
    path_parameter,
)
from cybertools.tracking.service.openapi.schemas import TEXT, Schema, ref

__all__ = ["PATHS"]

RUN = path_parameter("runId", {"type": "integer", "minimum": 1}, "The run's id.", 1)

_STATE = parameter(
    "state",
    {"enum": ["all", "finished", "current"], "default": "all"},
    "Only the runs in that state.",
)
_TO_OPEN: Schema = {
    "oneOf": [
        ref("OpenRun"),
        {"type": "array", "items": ref("OpenRun"), "maxItems": RUNS_MOST},
    ]
}
_OPENED: Schema = {"oneOf": [ref("RunId"), ref("RunIds")]}

PATHS: dict[str, Schema] = {
    "/api/storages/{storage}/runs": {
        "parameters": [STORAGE],
        "get": operation(
            "Runs",
            "getRuns",
            "The runs",
            {"200": answer("Runs, in order of their ids.", ref("RunPage"))},
            [
                _STATE,
                parameter("taskId", TEXT, "Only the runs of that task."),
                PAGE_LIMIT,
                parameter("after", {"type": "integer", "minimum": 0}, "After the run of that id."),
            ],
            description="Scope: read. Pages are as those of tracks.",
        ),
    },
    "/api/storages/{storage}/runs/count": {
        "parameters": [STORAGE],
        "get": operation(
            "Runs",
            "countRuns",
            "How many runs there are",
            {"200": answer("Their number.", ref("Count"))},
            [_STATE],
            description="Scope: read.",
        ),
    },
    "/api/storages/{storage}/runs/current": {
        "parameters": [STORAGE],
        "get": operation(
            "Runs",
            "getCurrentRun",
            "A task's current run",
            {"200": answer("The run.", ref("Run"))},
            [TASK],
            description="Scope: read.",
        ),
    },
    "/api/storages/{storage}/runs/start": {
        "parameters": [STORAGE],
        "post": operation(
            "Runs",
            "startRun",
            "Start a run; it is its task's current one from now on",
            {"200": answer("The run's id.", ref("RunId"))},
            body=body(ref("StartRun"), "Which one.", required=False),
            description="Scope: write.",
        ),
    },
    "/api/storages/{storage}/runs/open": {
        "parameters": [STORAGE],
        "post": operation(
            "Runs",
            "openRun",
            "The task's run of that label, started if there is none",
            {"200": answer("The run's id, or those of several.", _OPENED)},
            body=body(_TO_OPEN, "Which one; or a list, which is opened as a whole or not at all."),
            description="Scope: write. Asked twice it is the same run; the current run stays.",
        ),
    },
    "/api/storages/{storage}/runs/stop": {
        "parameters": [STORAGE],
        "post": operation(
            "Runs",
            "stopRun",
            "Stop a run",
            {"200": answer("The run's id; 0 if there was none to stop.", ref("RunId"))},
            body=body(ref("StopRun"), "Which one.", required=False),
            description="Scope: write.",
        ),
    },
    "/api/storages/{storage}/runs/{runId}": {
        "parameters": [STORAGE, RUN],
        "get": operation(
            "Runs",
            "getRun",
            "A run",
            {"200": answer("The run.", ref("Run"))},
            description="Scope: read.",
        ),
    },
    "/api/storages/{storage}/tasks": {
        "parameters": [STORAGE],
        "get": operation(
            "Lists",
            "getTaskIds",
            "The ids of all tasks with tracks",
            {"200": answer("Sorted.", ref("TaskIds"))},
            description="Scope: read.",
        ),
    },
    "/api/storages/{storage}/users": {
        "parameters": [STORAGE],
        "get": operation(
            "Lists",
            "getUserNames",
            "The names of the users with tracks in a task",
            {"200": answer("Sorted.", ref("UserNames"))},
            [TASK],
            description="Scope: read.",
        ),
    },
    "/api/storages": {
        "get": operation(
            "Storages",
            "getStorages",
            "The names of the storages",
            {"200": answer("Sorted; those that the token may read.", ref("Storages"))},
            description="Scope: read.",
        ),
    },
    "/api/storages/{storage}": {
        "parameters": [STORAGE],
        "put": operation(
            "Storages",
            "makeStorage",
            "Make a storage, or give it more indexes",
            {
                "200": answer("It was there.", ref("StorageState")),
                "201": answer("It is new.", ref("StorageState")),
            },
            body=body(ref("Storage"), "What it is to be.", required=False),
            description="Scope: admin.",
        ),
    },
    "/api/storages/{storage}/info": {
        "parameters": [STORAGE],
        "get": operation(
            "Storages",
            "getInfo",
            "What a storage holds, and what that takes",
            {"200": answer("Figures.", ref("Info"))},
            description="Scope: read. Counts everything.",
        ),
    },
    "/api/storages/{storage}/reindex": {
        "parameters": [STORAGE],
        "post": operation(
            "Storages",
            "reindexTracks",
            "Build all indexes anew",
            {"204": answer("It is done.")},
            description="Scope: admin.",
        ),
    },
    "/api/storages/{storage}/check": {
        "parameters": [STORAGE],
        "get": operation(
            "Storages",
            "checkStorage",
            "What is wrong with a storage",
            {"200": answer("Findings.", ref("Findings"))},
            description="Scope: admin. Reads all of it.",
        ),
    },
}
