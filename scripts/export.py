"""Write the IMU encoder of a pretraining checkpoint by itself: all that downstream work needs.

    python -m scripts.export --checkpoint runs/NAME/checkpoints/last.pt --out encoder.safetensors

The file holds its weights, the settings that rebuild it and what it was trained on, and no video weights.
``downstream.py --checkpoint encoder.safetensors`` gives the predictions that it gives with the whole checkpoint.
"""

import sys
from pathlib import Path

from configs.evaluation import ExportConfig
from configs.load import parse
from models import load_imu_encoder
from utils.atomic_io import sha256_of
from utils.encoder_file import read_encoder, save_encoder


def main(argv: list[str] | None = None) -> Path:
    """Write the file; returns its path."""
    config = parse(ExportConfig, argv)
    encoder, _ = load_imu_encoder(config.checkpoint)  # refuses weights that do not fit their own settings
    _, facts = read_encoder(config.checkpoint)
    facts["exported_from"] = sha256_of(config.checkpoint)
    save_encoder(config.out, encoder.state_dict(), facts)
    size = sum(p.numel() for p in encoder.parameters())
    print(
        f"{config.out}: {size:,} parameters, {config.out.stat().st_size / 1e6:.1f} MB; {encoder.dim} values per window"
    )
    return config.out


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as problem:
        sys.exit(f"{ExportConfig.program}: {problem}")
