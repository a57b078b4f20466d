"""Self-calibration: visibilities of the best model, gains, an image with these, whether to go on; the best of all.

Each round is an instance of the rules for one image: `self2_ingest` corrects what it reads by the gains of round 2.
"""

for index in range(ROUNDS.most + 1):
    ROUND = f"self{index}_"

    module:
        name: ROUND
        snakefile:
            "../image.smk"
        config:
            ROUNDS.values(config, index)

    use rule * from ROUND as ROUND*


rule modelvis:
    input:
        ms=[ancient(path) for path in CONFIG.data.vis],
        vis=lambda wildcards: best_before(wildcards).vis(),
        model=lambda wildcards: model_of_round(best_before(wildcards)),
    output:
        modelvis=directory(ROUNDS.names("{round}").modelvis()),
    log:
        ROUNDS.names("{round}").log("modelvis"),
    benchmark:
        ROUNDS.names("{round}").benchmark("modelvis")
    conda:
        "../envs/imaging.yaml"
    threads: 8
    resources:
        mem_mb=memory("modelvis"),
        runtime=runtime("modelvis"),
    params:
        config=settings("modelvis"),
        identity=IDENTITY,
        code=fingerprint("modelvis"),
    script:
        "../scripts/modelvis.py"


rule solve:
    input:
        ms=[ancient(path) for path in CONFIG.data.vis],
        modelvis=ROUNDS.names("{round}").modelvis(),
    output:
        solutions=ROUNDS.names("{round}").solutions(),
    log:
        ROUNDS.names("{round}").log("solve"),
    benchmark:
        ROUNDS.names("{round}").benchmark("solve")
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("solve"),
        runtime=runtime("solve"),
    params:
        config=lambda wildcards: CONFIG.settings("solve", int(wildcards.round)),
        identity=IDENTITY,
        code=fingerprint("solve"),
    script:
        "../scripts/solve.py"


rule plot_solutions:
    input:
        solutions="results/{run}/{run}.solutions.npz",
    output:
        plot="results/{run}/{run}.solutions.png",
    log:
        "results/{run}/logs/plot_solutions.log",
    conda:
        "../envs/imaging.yaml"
    params:
        code=fingerprint("plot_solutions"),
    script:
        "../scripts/plot_solutions.py"


checkpoint judge:
    input:
        lambda wildcards: (
            [ROUNDS.names(wildcards.round).solutions_plot()]
            if ROUNDS.plots and int(wildcards.round)
            else []
        ),
        image=ROUNDS.names("{round}").path(term0("image")),
        residual=ROUNDS.names("{round}").path(term0("residual")),
        mask=ROUNDS.names("{round}").mask(),
        previous=lambda wildcards: (
            ROUNDS.names(int(wildcards.round) - 1).selfcal()
            if int(wildcards.round)
            else []
        ),
        solutions=lambda wildcards: (
            ROUNDS.names(wildcards.round).solutions() if int(wildcards.round) else []
        ),
    output:
        verdict=ROUNDS.names("{round}").selfcal(),
    log:
        ROUNDS.names("{round}").log("judge"),
    conda:
        "../envs/imaging.yaml"
    resources:
        mem_mb=memory("judge"),
        runtime=runtime("judge"),
    params:
        config=settings("judge"),
        number=lambda wildcards: int(wildcards.round),
        code=fingerprint("judge"),
    script:
        "../scripts/judge.py"


rule limits:
    output:
        limits=NAMES.loop(),
    log:
        NAMES.log("limits"),
    # As `loop`: finished rounds are looked at again only for an ordinary input.
    localrule: True
    conda:
        "../envs/imaging.yaml"
    params:
        limits=json.dumps(settings("judge")),
    shell:
        "echo {params.limits:q} > {output.limits} 2> {log}"


rule choose:
    input:
        NAMES.loop(),
        products=lambda wildcards: [
            *ROUNDS.products(best_of_all(), imaged_products()),
            final_verdict(),
        ],
        solutions=lambda wildcards: ROUNDS.names(max(best_of_all(), 1)).solutions(),
    output:
        chosen=[
            *(PRODUCT(p) if NAMES.is_image(p) else p for p in imaged_products()),
            NAMES.selfcal(),
        ],
        table=NAMES.solutions(),
    log:
        NAMES.log("choose"),
    conda:
        "../envs/imaging.yaml"
    params:
        best=lambda wildcards: best_of_all(),
        code=fingerprint("choose"),
    script:
        "../scripts/choose.py"
