#!/bin/sh
# Simulate an observation of a known sky, image it with Snakemake, compare with the truth.
set -eu
python workflow/demo/steps.py simulate
imaging run workflow/demo/demo.yaml --cores 2
python workflow/demo/steps.py compare
