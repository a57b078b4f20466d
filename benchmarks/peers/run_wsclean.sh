#!/bin/sh
# WSClean on the four real data sets: run_wsclean.sh DATA_DIR OUT_DIR [case ...]     (THREADS=2 by default)
# DATA_DIR holds the unpacked MeasurementSets. Measured with WSClean 3.1.0 (Debian: apt install wsclean).
# The figures come from image_statistics.py OUT_DIR/<case>; each case leaves <case>.log with the command, its output and its wall time.
set -eu
data=$(realpath "$1"); out=$2; shift 2
mkdir -p "$out"; cd "$out"
threads=${THREADS:-2}

run() { # case MeasurementSet options
    case=$1 ms=$2; shift 2
    if [ -n "$cases" ]; then case " $cases " in *" $case "*) ;; *) return 0 ;; esac; fi
    set -- wsclean -j "$threads" -use-wgridder -reorder -no-update-model-required -pol i -name "$case" "$@" "$data/$ms"
    echo "$@" > "$case.log"
    start=$(date +%s.%N)
    "$@" >> "$case.log" 2>&1 || echo "FAILED: $case, see $out/$case.log"
    echo "wall $(echo "$(date +%s.%N) - $start" | bc) s" >> "$case.log"
    tail -n 1 "$case.log" | sed "s/^/$case: /"
}

cases=$*
clean="-niter 20000 -auto-threshold 3 -mgain 0.8"
vla="-scale 1asec -size 1024 1024"
mwa="-scale 60asec -size 1500 1500 -weight briggs 0"
askap="-scale 5asec -size 1024 1024"
vlba="-scale 0.2masec -size 1024 1024 -weight briggs 0"
run vla_natural           vla_3c286_L.ms        $vla -weight natural $clean
run vla_briggs0           vla_3c286_L.ms        $vla -weight briggs 0 $clean
run vla_briggs0_multiscale vla_3c286_L.ms       $vla -weight briggs 0 $clean -multiscale
# to the level where tclean's nsigma=3, measured again each cycle, stopped
run vla_natural_deep      vla_3c286_L.ms        $vla -weight natural -niter 20000 -threshold 0.0726 -mgain 0.8
run vla_briggs0_deep      vla_3c286_L.ms        $vla -weight briggs 0 -niter 20000 -threshold 0.0588 -mgain 0.8
run mwa_briggs0           mwa_1102865728_cal.ms $mwa -niter 3000 -auto-threshold 3 -mgain 0.8
run mwa_briggs0_multiscale mwa_1102865728_cal.ms $mwa -niter 3000 -auto-threshold 3 -mgain 0.8 -multiscale
run askap_natural         vela-60.ms            $askap -weight natural $clean
run askap_briggs0         vela-60.ms            $askap -weight briggs 0 $clean
run askap_briggs0_multiscale vela-60.ms         $askap -weight briggs 0 $clean -multiscale
run vlba_briggs0          vlba_m87_8GHz.ms      $vlba $clean
run vlba_briggs0_multiscale vlba_m87_8GHz.ms    $vlba $clean -multiscale
