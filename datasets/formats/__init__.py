"""Raw formats: each lists the recordings of a folder (``find``) and parses one at a time, nothing more.

A format is a module, or a description of tables in ``configs/table``. ``OPTIONS`` are the settings that its ``find``
takes beside the folder.
"""

from pathlib import Path
from types import ModuleType

import configs
from configs.data import DESCRIBED
from datasets.formats import classyglass, ego4d, gopro, mmea, pd, table

FORMATS: dict[str, ModuleType | table.Described] = {
    "ego4d": ego4d,
    "mmea": mmea,
    "pd": pd,
    "gopro": gopro,
    "classyglass": classyglass,
    "table": table,
} | {name: table.Described(Path(configs.__file__).parent / "table" / f"{name}.yaml") for name in DESCRIBED}
