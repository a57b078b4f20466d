"""MeasurementSets made by the measurement equation: each step a copy with one more column, or a record of it."""


wildcard_constraints:
    ms="|".join(map(re.escape, STEPS.sets)) or "none",


if "simulate" in STEPS.order:

    rule simulate:
        output:
            ms=directory(STEPS.made("simulate", SIMULATED)),
            truth=STEPS.truth(),
        log:
            NAMES.log("simulate"),
        benchmark:
            NAMES.benchmark("simulate")
        conda:
            "../envs/imaging.yaml"
        resources:
            mem_mb=memory("simulate"),
            runtime=runtime("simulate"),
        params:
            config=settings("simulate"),
            code=fingerprint("simulate"),
        script:
            "../scripts/simulate.py"


if "predict" in STEPS.order:

    rule predict:
        input:
            step_inputs("predict"),
        output:
            **step_outputs("predict"),
        log:
            NAMES.log("predict.{ms}"),
        benchmark:
            NAMES.benchmark("predict.{ms}")
        conda:
            "../envs/imaging.yaml"
        threads: 8
        resources:
            mem_mb=memory("predict"),
            runtime=runtime("predict"),
        params:
            ms=lambda wildcards: STEPS.read("predict", wildcards.ms),
            config=settings("predict"),
            identity=step_identity("predict"),
            code=step_code("predict"),
        script:
            "../scripts/predict.py"


if "corrupt" in STEPS.order:

    rule corrupt:
        input:
            step_inputs("corrupt"),
        output:
            **step_outputs("corrupt"),
        log:
            NAMES.log("corrupt.{ms}"),
        benchmark:
            NAMES.benchmark("corrupt.{ms}")
        conda:
            "../envs/imaging.yaml"
        threads: 8
        resources:
            mem_mb=memory("corrupt"),
            runtime=runtime("corrupt"),
        params:
            ms=lambda wildcards: STEPS.read("corrupt", wildcards.ms),
            config=settings("corrupt"),
            identity=step_identity("corrupt"),
            code=step_code("corrupt"),
        script:
            "../scripts/corrupt.py"


if "correct" in STEPS.order:

    rule correct:
        input:
            step_inputs("correct"),
        output:
            **step_outputs("correct"),
        log:
            NAMES.log("correct.{ms}"),
        benchmark:
            NAMES.benchmark("correct.{ms}")
        conda:
            "../envs/imaging.yaml"
        threads: 8
        resources:
            mem_mb=memory("correct"),
            runtime=runtime("correct"),
        params:
            ms=lambda wildcards: STEPS.read("correct", wildcards.ms),
            config=settings("correct"),
            identity=step_identity("correct"),
            code=step_code("correct"),
        script:
            "../scripts/correct.py"


rule beams:
    input:
        STEPS.last(),
        build.files(settings_of("beams").measurement),
        ms=[path if STEPS.order else ancient(path) for path in STEPS.imaged()],
        vis=NAMES.vis(),
    output:
        **({"aterms": NAMES.aterms()} if CONFIG.measurement.aterms else {}),
        beam=NAMES.beam(),
    log:
        NAMES.log("beams"),
    benchmark:
        NAMES.benchmark("beams")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("beams"),
        runtime=runtime("beams"),
    params:
        config=settings("beams"),
        code=step_code("beams"),
    script:
        "../scripts/beams.py"
