"""Units that tables come in, as factors to SI."""

import numpy as np

from configs.constants import STANDARD_GRAVITY

ACC_UNITS = {"m/s2": 1.0, "g": STANDARD_GRAVITY, "mg": STANDARD_GRAVITY / 1000}
GYRO_UNITS = {"rad/s": 1.0, "deg/s": np.pi / 180}
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
