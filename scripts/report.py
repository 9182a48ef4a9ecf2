"""Results as one page: tables with chance beside each value, and pictures.

    python -m scripts.report --runs runs --out report
    python -m scripts.report --runs out/runs --study configs/study/demo.yaml --data_root out/data --out out/report

Writes report.md, report.html (one file with its pictures inside), every table and figure as a file of its own
(tables/*.md, *.tex, *.csv and figures/*.png, *.pdf), and results_long.csv, the values that they are made from. With
``--study`` the page begins with the tables and figures of the paper. Every number is read from a results.json and
linked to its run; whatever is simulated is called so.
"""

import sys
from pathlib import Path

import pandas as pd

from configs.load import parse
from configs.reporting import ReportConfig
from scripts.reporting.document import Block, Heading, Linked, Table, Text
from scripts.reporting.result_tables import (
    embedding_section,
    few_shot_sections,
    pretraining_section,
    zero_shot_section,
)
from scripts.reporting.runs import FEW_SHOT, Run, find_runs, notice, table_of
from scripts.reporting.study_page import study_blocks
from scripts.reporting.writers import as_html, as_markdown, write_table


def main(argv: list[str] | None = None) -> Path:
    """Write the page; returns the path of its Markdown."""
    config = parse(ReportConfig, argv)
    runs, unfinished = find_runs(config.runs, may_be_empty=config.study is not None)
    for name in ("figures", "tables"):
        (config.out / name).mkdir(parents=True, exist_ok=True)
    blocks: list[Block] = []
    others = runs
    if config.study:
        blocks, of_study = study_blocks(config, runs)
        others = [run for run in runs if run not in of_study]  # what the tables of the paper do not show already
    blocks += few_shot_sections([run for run in others if run.command in FEW_SHOT], config.out)
    blocks += zero_shot_section([run for run in others if run.command == "zeroshot"], config.out)
    blocks += embedding_section([run for run in runs if run.command == "embed"], config.out)
    blocks += pretraining_section([run for run in runs if run.command == "train"], config.out)
    blocks += provenance(runs, unfinished)

    table_of(runs).to_csv(config.out / "results_long.csv", index=False)
    page = config.out / "report.md"
    page.write_text(as_markdown(config.title, notice(runs), blocks, config.out), encoding="utf-8")
    html = page.with_suffix(".html")
    html.write_text(as_html(config.title, notice(runs), blocks, config.out), encoding="utf-8")
    for table in blocks:
        if isinstance(table, Table):
            write_table(table, config.out / "tables")
    print(f"report: {page}\nreport: {html}")
    return page


def provenance(runs: list[Run], unfinished: list[Path]) -> list[Block]:
    """Where every number comes from."""
    header = ("run", "command", "dataset", "seed", "checkpoint", "commit")
    rows = []
    for run in runs:
        r = run.results
        checkpoint = "-" if r["command"] == "train" or not r["checkpoint"] else r["checkpoint"]["sha256"][:12]
        rows.append(
            (
                Linked(run.name, run.folder),
                r["command"],
                run.dataset,
                str(r["seed"]),
                checkpoint,
                _short(r["commit"]),
            )
        )
    blocks = [
        Heading("Runs"),
        Text("Each run's folder holds its settings, environment and, for evaluations, the windows used."),
        Table(pd.DataFrame(rows, columns=header, dtype=object), "runs", "Runs"),
    ]
    if unfinished:
        blocks.append(Text(f"Begun but without results: {', '.join(folder.name for folder in unfinished)}."))
    return blocks


def _short(commit: str) -> str:
    """Enough of a commit to find it, and whether files differed from it."""
    return commit[:12] + ("+changes" if commit.endswith("+changes") else "")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as problem:
        sys.exit(f"{ReportConfig.program}: {problem}")
