"""Raw formats: each module lists the recordings of a folder (``find``) and parses one at a time, nothing more.

``OPTIONS`` of a module are the settings that its ``find`` takes beside the folder.
"""

from types import ModuleType

from datasets.formats import classyglass, ego4d, gopro, mmea, pd, stanford_fog, table

FORMATS: dict[str, ModuleType] = {
    "ego4d": ego4d,
    "mmea": mmea,
    "pd": pd,
    "gopro": gopro,
    "classyglass": classyglass,
    "stanford_fog": stanford_fog,
    "table": table,
}
