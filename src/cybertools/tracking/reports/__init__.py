"""Reports: the questions behind the tracks, each answered by a function that gives a `Table`.

They are computed in the engine. `REPORTS` has them by name, for doors.
"""

from cybertools.tracking.reports.activity import active, changes, counts, present, top, totals
from cybertools.tracking.reports.lasting import durations, retries, runs, times
from cybertools.tracking.reports.looking import journey, task
from cybertools.tracking.reports.moving import funnel, paths, retention
from cybertools.tracking.reports.specs import REPORTS, Parameter, ReportSpec, run_report
from cybertools.tracking.reports.table import Chart, Column, Table
from cybertools.tracking.reports.tracks import funnel_tracks, paths_tracks, retention_tracks

__all__ = [
    "REPORTS",
    "Chart",
    "Column",
    "Parameter",
    "ReportSpec",
    "Table",
    "active",
    "changes",
    "counts",
    "durations",
    "funnel",
    "funnel_tracks",
    "journey",
    "paths",
    "paths_tracks",
    "present",
    "retention",
    "retention_tracks",
    "retries",
    "run_report",
    "runs",
    "task",
    "times",
    "top",
    "totals",
]
