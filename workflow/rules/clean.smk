"""The loop: major_cycle, automask, decide (go on or stop), minor_cycle, and again with the model it found."""


rule major_cycle:
    input:
        vis=NAMES.vis(),
        weights=NAMES.weights(),
        model=previous("model"),
        psf_double=by_convolution(NAMES.psf_double()),
        dirty=by_convolution(NAMES.residual(0)),
        startmodel=by_convolution(LOOP.startmodel),
    output:
        residual=PRODUCT(NAMES.residual("{cycle}")),
    log:
        NAMES.log("major_cycle", "{cycle}"),
    benchmark:
        NAMES.benchmark("major_cycle", "{cycle}")
    group:
        "clean"
    conda:
        "../envs/imaging.yaml"
    threads: 8
    resources:
        mem_mb=memory("major_cycle"),
        runtime=runtime("major_cycle"),
    params:
        config=settings("major_cycle"),
        code=fingerprint("major_cycle"),
    script:
        "../scripts/major_cycle.py"


rule automask:
    input:
        *CONFIG.mask_files(),
        residual=NAMES.residual("{cycle}"),
        psf=NAMES.psf(),
        pb=NAMES.pb(),
        previous=previous("mask"),
        previous_automask=previous("automask"),
        state=previous("state"),
        minor=previous("minor"),
    output:
        mask=PRODUCT(NAMES.mask("{cycle}")),
        automask=NAMES.automask("{cycle}"),
    log:
        NAMES.log("automask", "{cycle}"),
    benchmark:
        NAMES.benchmark("automask", "{cycle}")
    group:
        "clean"
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("automask"),
        runtime=runtime("automask"),
    params:
        config=settings("automask"),
        code=fingerprint("automask"),
    script:
        "../scripts/automask.py"


checkpoint decide:
    input:
        residual=NAMES.residual("{cycle}"),
        mask=lambda wildcards: LOOP.mask_of(wildcards.cycle),
        psf=NAMES.psf(),
        pb=NAMES.pb(),
        sumwt=NAMES.sumwt(),
        automask=lambda wildcards: LOOP.automask_of(wildcards.cycle),
        previous=previous("state"),
        minor=previous("minor"),
    output:
        state=NAMES.state("{cycle}"),
    log:
        NAMES.log("decide", "{cycle}"),
    benchmark:
        NAMES.benchmark("decide", "{cycle}")
    group:
        "clean"
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("decide"),
        runtime=runtime("decide"),
    params:
        config=settings("decide"),
        code=fingerprint("decide"),
    script:
        "../scripts/decide.py"


rule minor_cycle:
    input:
        lambda wildcards: [
            *CONFIG.spectrum_files(),
            *deconvolver_files(deconvolver(wildcards)),
        ],
        residual=lambda wildcards: NAMES.residual(LOOP.decided(wildcards.cycle)),
        mask=lambda wildcards: LOOP.mask_of(LOOP.decided(wildcards.cycle)),
        psf=NAMES.psf(),
        sumwt=NAMES.sumwt(),
        state=lambda wildcards: NAMES.state(LOOP.decided(wildcards.cycle)),
        model=previous("model"),
        memory=previous("memory"),
        pb=lambda wildcards: [] if is_builtin(deconvolver(wildcards)) else NAMES.pb(),
    output:
        model_out=PRODUCT(NAMES.model("{cycle}")),
        minor=NAMES.minor("{cycle}"),
        memory_out=NAMES.memory("{cycle}"),
    log:
        NAMES.log("minor_cycle", "{cycle}"),
    benchmark:
        NAMES.benchmark("minor_cycle", "{cycle}")
    group:
        "clean"
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("minor_cycle"),
        runtime=runtime("minor_cycle"),
        # No parameter, which would run finished cycles again.
        script_timeout=math.ceil(CONFIG.clean.script_timeout),
    params:
        config=lambda wildcards: CONFIG.settings("minor_cycle", number(wildcards.cycle)),
        code=deconvolver_code,
    script:
        "../scripts/minor_cycle.py"
