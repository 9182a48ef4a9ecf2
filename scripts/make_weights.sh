#!/usr/bin/env bash
# Make what ships in models/weights: an encoder, and a classifier of daily movements, from data that anybody may share.
#
#   bash scripts/make_weights.sh SP_SW_HAR CLASSYGLASS [OUT]
#
# SP_SW_HAR and CLASSYGLASS are the raw folders of the two datasets (both CC BY 4.0); OUT (weights_out) takes everything else.
# The encoder never sees sp-sw-har, so that the classifier's card tells how it does on people whom nothing has seen.
# Expected time: 5 to 10 minutes on one core. Weights follow from the seed, up to the rounding of another machine.
set -euo pipefail
sp_sw_har=$(realpath "$1") classyglass=$(realpath "$2") out=$(realpath -m "${3:-weights_out}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=.venv/bin/python
roots=(--data_root "$out/data" --runs_root "$out/runs")

$python -m scripts.simulate --config configs/demo/simulate_ego4d.yaml --out "$out/raw"
$python -m scripts.prepare --format ego4d --config configs/demo/prepare.yaml --raw "$out/raw/ego4d" --out "$out/data/sim_ego4d"
$python -m scripts.prepare --format classyglass --window_s 2 --raw "$classyglass" --out "$out/data/classyglass"
$python -m scripts.prepare --format sp_sw_har --sensor phone watch --window_s 2 --raw "$sp_sw_har" --out "$out/data/sp_sw_har"

$python train.py --config configs/pretrain/recommended_imu.yaml "${roots[@]}" --dataset classyglass sim_ego4d --window_s 2 \
    --run_name encoder --resume auto
$python -m scripts.export --checkpoint "$out/runs/encoder/checkpoints/last.pt" --out models/weights/encoder.safetensors
$python downstream.py --config configs/downstream/daily_movements.yaml "${roots[@]}" \
    --checkpoint "$out/runs/encoder/checkpoints/last.pt" --run_name daily_movements --licence CC-BY-4.0 \
    --save_model models/weights/daily_movements
