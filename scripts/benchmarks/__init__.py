"""One module per benchmark; each has ``run(cfg, folder) -> Report``."""
