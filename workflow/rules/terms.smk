"""After the loop where the model has Taylor terms: a file for each, spectral index, primary-beam correction."""


ruleorder: restore_terms > restore


def made(outputs):
    """Outputs of a stage, as its rule declares them."""
    return {
        name: PRODUCT(paths) if isinstance(paths, str) else [PRODUCT(p) for p in paths]
        for name, paths in outputs.items()
    }


rule restore_terms:
    input:
        unpack(finished),
        psf=NAMES.psf(),
        pb=NAMES.pb(),
        sumwt=NAMES.sumwt(),
        loop=NAMES.loop(),
    output:
        **made(terms.restored(CONFIG, NAMES)),
    log:
        NAMES.log("restore_terms"),
    benchmark:
        NAMES.benchmark("restore_terms")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("restore_terms"),
        runtime=runtime("restore_terms"),
    params:
        config=settings("restore_terms"),
        provenance=CONFIG.provenance(),
        code=fingerprint("restore_terms"),
    script:
        "../scripts/restore_terms.py"


rule pbcor_terms:
    input:
        **terms.to_correct(CONFIG, NAMES),
    output:
        **made(terms.corrected(CONFIG, NAMES)),
    log:
        NAMES.log("pbcor_terms"),
    benchmark:
        NAMES.benchmark("pbcor_terms")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("pbcor_terms"),
        runtime=runtime("pbcor_terms"),
    params:
        config=settings("pbcor_terms"),
        code=fingerprint("pbcor_terms"),
    script:
        "../scripts/pbcor_terms.py"
