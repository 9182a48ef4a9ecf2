#!/usr/bin/env bash
# The whole chain on simulated recordings: simulate, prepare, pretrain, probe, zero-shot, one page with the results.
# About 10 minutes on 2 cores once the packages are installed. Everything is written to one folder (default demo_out).
#
#     bash scripts/demo.sh [FOLDER]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=${1:-demo_out}
if [ -e "$out" ] && [ ! -e "$out/.demo" ]; then
    echo "demo: $out exists and was not made by this script; name another folder" >&2
    exit 1
fi
bash scripts/setup.sh
export HF_HUB_OFFLINE=1  # nothing is downloaded: the demo trains small models from scratch
python=.venv/bin/python

rm -rf "$out"
mkdir -p "$out"
touch "$out/.demo"
step() { printf '\n== %s (%d s so far)\n' "$1" "$SECONDS"; }
roots=(--data_root "$out/data" --runs_root "$out/runs")

step "1 of 6: simulate a wearer's recordings, in the raw layouts of Ego4D, UESTC-MMEA-CL and PD"
$python -m scripts.simulate --config configs/demo/simulate.yaml --out "$out/raw"

step "2 of 6: prepare them: 50 Hz IMU, 10 frames a second"
for name in ego4d mmea pd; do
    $python -m scripts.prepare --config configs/demo/prepare.yaml --format "$name" \
        --raw "$out/raw/$name" --out "$out/data/sim_$name"
done

step "3 of 6: pretrain IMU and video encoders on the unlabelled recordings (simulated Ego4D)"
$python train.py --config configs/demo/pretrain.yaml "${roots[@]}" --run_name pretrain
checkpoint=$out/runs/pretrain/checkpoints/last.pt

step "4 of 6: few-shot linear probes on people and mountings that it never saw, trained and random encoder"
for name in mmea pd; do
    probe=(--config configs/demo/downstream.yaml "${roots[@]}" --dataset "sim_$name" --checkpoint "$checkpoint")
    $python downstream.py "${probe[@]}" --run_name "probe_$name"
    $python downstream.py "${probe[@]}" --run_name "probe_${name}_random" --random_weights
done

step "5 of 6: zero-shot: each IMU window takes the class of the nearest labelled video"
$python zeroshot.py --config configs/demo/zeroshot_mmea.yaml "${roots[@]}" --checkpoint "$checkpoint" \
    --run_name zeroshot_mmea
$python zeroshot.py --config configs/demo/zeroshot_pd.yaml "${roots[@]}" --checkpoint "$checkpoint" \
    --run_name zeroshot_pd

step "6 of 6: collect the results"
$python -m scripts.report --runs "$out/runs" --out "$out/report" --title "Demo on simulated recordings"

printf '\nDone in %d s. The page: %s\n' "$SECONDS" "$(cd "$out" && pwd)/report/report.md"
