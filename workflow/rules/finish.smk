"""After the loop: restored image, primary-beam correction, report."""


rule loop:
    output:
        loop=NAMES.loop(),
    log:
        NAMES.log("loop"),
    # A finished loop is not looked at again unless restore has an ordinary input that changes with the limits.
    localrule: True
    conda:
        "../envs/imaging.yaml"
    params:
        limits=json.dumps(settings("decide")),
    shell:
        "echo {params.limits:q} > {output.loop} 2> {log}"


rule restore:
    input:
        unpack(finished),
        psf=NAMES.psf(),
        pb=NAMES.pb(),
        loop=NAMES.loop(),
    output:
        image=PRODUCT(NAMES.image()),
        residual_out=PRODUCT(NAMES.residual()),
        model_out=PRODUCT(NAMES.model()),
        mask_out=PRODUCT(NAMES.mask()),
    log:
        NAMES.log("restore"),
    benchmark:
        NAMES.benchmark("restore")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("restore"),
        runtime=runtime("restore"),
    params:
        config=settings("restore"),
        provenance=CONFIG.provenance(),
        code=fingerprint("restore"),
    script:
        "../scripts/restore.py"


rule mfs:
    input:
        residual=NAMES.residual(),
        model=NAMES.model(),
        psf=NAMES.psf(),
        sumwt=NAMES.sumwt(),
    output:
        image_mfs=PRODUCT(NAMES.image_mfs()),
        residual_mfs=PRODUCT(NAMES.residual_mfs()),
        model_mfs=PRODUCT(NAMES.model_mfs()),
        psf_mfs=PRODUCT(NAMES.psf_mfs()),
    log:
        NAMES.log("mfs"),
    benchmark:
        NAMES.benchmark("mfs")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("mfs"),
        runtime=runtime("mfs"),
    params:
        config=settings("mfs"),
        code=fingerprint("mfs"),
    script:
        "../scripts/mfs.py"


rule mfs_pbcor:
    input:
        image=NAMES.image_mfs(),
        pb=NAMES.pb(),
        sumwt=NAMES.sumwt(),
    output:
        image_pbcor=PRODUCT(NAMES.image_mfs_pbcor()),
    log:
        NAMES.log("mfs_pbcor"),
    benchmark:
        NAMES.benchmark("mfs_pbcor")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("pbcor"),
        runtime=runtime("pbcor"),
    params:
        config=settings("pbcor"),
        code=fingerprint("pbcor"),
    script:
        "../scripts/pbcor.py"


rule pbcor:
    input:
        image=NAMES.image(),
        pb=NAMES.pb(),
    output:
        image_pbcor=PRODUCT(NAMES.image_pbcor()),
    log:
        NAMES.log("pbcor"),
    benchmark:
        NAMES.benchmark("pbcor")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("pbcor"),
        runtime=runtime("pbcor"),
    params:
        config=settings("pbcor"),
        code=fingerprint("pbcor"),
    script:
        "../scripts/pbcor.py"


rule components:
    input:
        unpack(listed),
        sumwt=NAMES.sumwt(),
    output:
        components=NAMES.components(),
    log:
        NAMES.log("components"),
    benchmark:
        NAMES.benchmark("components")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("components"),
        runtime=runtime("components"),
    params:
        config=settings("components"),
        code=fingerprint("components"),
    script:
        "../scripts/components.py"


rule report:
    input:
        unpack(history),
        vis=NAMES.vis(),
        weights=NAMES.weights(),
        image=image_of_all(),
    output:
        report=NAMES.report(),
    log:
        NAMES.log("report"),
    benchmark:
        NAMES.benchmark("report")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("report"),
        runtime=runtime("report"),
    params:
        config=settings("report"),
        code=fingerprint("report"),
    script:
        "../scripts/report.py"


rule savemodel:
    input:
        ms=[ancient(path) for path in CONFIG.data.vis],
        vis=NAMES.vis(),
        model=LOOP.model,
    output:
        savemodel=NAMES.savemodel(),
    log:
        NAMES.log("savemodel"),
    benchmark:
        NAMES.benchmark("savemodel")
    conda:
        "../envs/imaging.yaml"
    threads: 8
    resources:
        mem_mb=memory("savemodel"),
        runtime=runtime("savemodel"),
    params:
        config=settings("savemodel"),
        identity=IDENTITY,
        code=fingerprint("savemodel"),
    script:
        "../scripts/savemodel.py"
