"""predictions.csv: the class predicted for every window, for statistics over people and windows."""

from pathlib import Path

import numpy as np
import pandas as pd

from datasets.windows import Windows


def prediction_table(windows: Windows, predicted: np.ndarray) -> pd.DataFrame:
    """A row for each window: its name, subject, session, true class and, from (W,) numbers, predicted class."""
    names, columns = np.array(windows.classes), {"subject": windows.subject, "session": windows.session}
    return pd.DataFrame(
        {"window": windows.ids(), **columns, "truth": names[windows.label], "predicted": names[predicted]}
    )


def write_predictions(path: Path, table: pd.DataFrame) -> None:
    """Write the table as the csv of RFC 4180."""
    table.to_csv(path, index=False, lineterminator="\r\n")
