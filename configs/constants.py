"""What the whole project agrees on: windows of the paper, rates of a prepared dataset, units of raw tables."""

import math

IMU_RATE_HZ = 50
WINDOW_S = 5.0  # default of --window_s; quality is measured in stretches of as much
WINDOW_SAMPLES = 250  # WINDOW_S * IMU_RATE_HZ
FRAME_RATE_HZ = 10
WINDOW_FRAMES = 50  # WINDOW_S * FRAME_RATE_HZ
MAX_GAP_S = 0.1  # the longest hole between IMU samples that is bridged; a longer one splits a recording

ACC = ("acc_x", "acc_y", "acc_z")  # specific force, m/s^2
GYRO = ("gyro_x", "gyro_y", "gyro_z")  # angular rate, rad/s
CHANNELS = ACC + GYRO
STANDARD_GRAVITY = 9.80665  # m/s^2 per g

# Factors to m/s², rad/s and s of the units that tables may be in
ACC_UNITS = {"m/s2": 1.0, "g": STANDARD_GRAVITY, "mg": STANDARD_GRAVITY / 1000}
GYRO_UNITS = {"rad/s": 1.0, "deg/s": math.pi / 180}
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
DATE_UNITS = ("date", "dmy", "mdy")  # times as text; the order of day, month and year
