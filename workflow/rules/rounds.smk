"""The rounds of self-calibration: what was said of each, and which of them is the best."""

ROUNDS = Rounds(CONFIG, NAMES)


wildcard_constraints:
    round=r"\d+",
    run=rf"{re.escape(CONFIG.name)}(-self\d+)?",


def verdict_on(number):
    """What was said of a round; Snakemake asks again when it is known."""
    output = checkpoints.judge.get(round=str(number)).output.verdict
    return Verdict.of(json.loads(Path(output).read_text()))


def best_before(wildcards):
    """The best of the rounds before this one: the next begins with its model."""
    return ROUNDS.names(verdict_on(int(wildcards.round) - 1).best)


def final_verdict():
    """What was said of the last round."""
    number = 0
    while not verdict_on(number).stop:
        number += 1
    return ROUNDS.names(number).selfcal()


def best_of_all():
    return Verdict.of(json.loads(Path(final_verdict()).read_text())).best


def model_of_round(names):
    return (
        names.terms("model", CONFIG.nterms) if CONFIG.clean.multiterm else names.model()
    )


def term0(product):
    return product + (".tt0" if CONFIG.clean.multiterm else "")
