"""The part of a report that follows the paper: its tables and figures from a study's runs, and its order of methods."""

from configs.reporting import ReportConfig
from configs.study import cells, load_study
from scripts.reporting.datasets_table import figure_2, table_1
from scripts.reporting.document import Block, Text
from scripts.reporting.few_shot_tables import table_3, table_5
from scripts.reporting.order_section import order_section
from scripts.reporting.runs import Run
from scripts.reporting.shots_figure import figure_3
from scripts.reporting.study_results import StudyResults, match, protocols
from scripts.reporting.zero_shot_table import table_4


def study_blocks(config: ReportConfig, runs: list[Run]) -> tuple[list[Block], list[Run]]:
    """The sections of a study, and the runs that they show."""
    study = load_study(config.study)
    found = match(study, cells(study, config.data_root, config.runs[0]), runs)
    blocks: list[Block] = [*missing_cells(found)]
    blocks += table_1(study, config.data_root)
    blocks += figure_2(study, config.data_root, config.out)
    for number, protocol in enumerate(protocols(found)):
        blocks += table_3(found, protocol, number)
        blocks += figure_3(found, protocol, number, config.out)
    blocks += table_4(found)
    for number, protocol in enumerate(protocols(found)):
        blocks += table_5(found, protocol, number)
    blocks += order_section(found)
    return blocks, [result.run for result in found.results if result.run]


def missing_cells(found: StudyResults) -> list[Block]:
    """How much of the study there is."""
    missing = [result.cell.name for result in found.results if result.run is None]
    done = len(found.results) - len(missing)
    blocks: list[Block] = [Text(f"{done} of the study's {len(found.results)} runs have results.")]
    if missing:
        blocks.append(Text(f"Without results, shown as missing: {', '.join(missing)}."))
    changed = [f"{r.cell.name} ({', '.join(r.other_settings)})" for r in found.results if r.other_settings]
    if changed:
        blocks.append(Text(f"Run with other settings than the study asks for: {', '.join(changed)}.", strong=True))
    return blocks
