"""Everything before the loop: visibilities, their weights, the psf and the primary beam."""


rule ingest:
    input:
        STEPS.last(),
        ms=[path if STEPS.order else ancient(path) for path in STEPS.imaged()],
        solutions=CONFIG.data.solutions or [],
    output:
        vis=directory(NAMES.vis()),
    log:
        NAMES.log("ingest"),
    benchmark:
        NAMES.benchmark("ingest")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("ingest"),
        runtime=runtime("ingest"),
    params:
        config=settings("ingest"),
        identity=[] if STEPS.order else IDENTITY,
        code=fingerprint("ingest"),
    script:
        "../scripts/ingest.py"


rule weights:
    input:
        vis=NAMES.vis(),
    output:
        weights=directory(NAMES.weights()),
    log:
        NAMES.log("weights"),
    benchmark:
        NAMES.benchmark("weights")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("weights"),
        runtime=runtime("weights"),
    params:
        config=settings("weights"),
        code=fingerprint("weights"),
    script:
        "../scripts/weights.py"


rule psf:
    input:
        vis=NAMES.vis(),
        weights=NAMES.weights(),
    output:
        psf=PRODUCT(NAMES.psf()),
        sumwt=PRODUCT(NAMES.sumwt()),
    log:
        NAMES.log("psf"),
    benchmark:
        NAMES.benchmark("psf")
    conda:
        "../envs/imaging.yaml"
    threads: 8
    resources:
        mem_mb=memory("psf"),
        runtime=runtime("psf"),
    params:
        config=settings("psf"),
        code=fingerprint("psf"),
    script:
        "../scripts/psf.py"


rule psf_double:
    input:
        vis=NAMES.vis(),
        weights=NAMES.weights(),
    output:
        psf_double=directory(NAMES.psf_double()),
    log:
        NAMES.log("psf_double"),
    benchmark:
        NAMES.benchmark("psf_double")
    conda:
        "../envs/imaging.yaml"
    threads: 8
    resources:
        mem_mb=memory("psf_double"),
        runtime=runtime("psf_double"),
    params:
        config=settings("psf_double"),
        code=fingerprint("psf_double"),
    script:
        "../scripts/psf_double.py"


rule startmodel:
    input:
        vis=NAMES.vis(),
        sky=CONFIG.sky_files(),
    output:
        startmodel=PRODUCT(NAMES.startmodel()),
    log:
        NAMES.log("startmodel"),
    benchmark:
        NAMES.benchmark("startmodel")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("startmodel"),
        runtime=runtime("startmodel"),
    params:
        config=settings("startmodel"),
        code=fingerprint("startmodel"),
    script:
        "../scripts/startmodel.py"


rule pb:
    input:
        *CONFIG.pb_files(),
        **measured_beam(),
        vis=NAMES.vis(),
        weights=NAMES.weights(),
    output:
        pb=PRODUCT(NAMES.pb()),
    log:
        NAMES.log("pb"),
    benchmark:
        NAMES.benchmark("pb")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("pb"),
        runtime=runtime("pb"),
    params:
        config=settings("pb"),
        code=fingerprint("pb"),
    script:
        "../scripts/pb.py"
