"""The measurements: the engines and the baselines do the same work, in turns, in one run.

    python -m bench quick       less than a minute, prints the tables
    python -m bench all         writes bench/results/latest.json, docs/bench.md and its pictures
    python -m bench report      writes the pages anew from the results

From a dataset to a page: `datasets` and `questions` say what is done, `contenders` who does it,
`operations` what is timed. `worker` runs one contender in a process of its own, `harness` gives
the workers their turns, `results` keeps what came of it; `targets`, `report` and `picture` show
it. A new engine joins with one entry in `contenders`.
"""
