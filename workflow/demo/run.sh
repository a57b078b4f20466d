#!/bin/sh
# Simulate an observation of a known sky, image it with Snakemake, compare with the truth.
set -eu
if [ ! demo/truth.csv -nt workflow/demo/sky.yaml ]; then
    python workflow/demo/steps.py simulate
fi
imaging run workflow/demo/demo.yaml --cores 2
python workflow/demo/steps.py compare
