"""The rules that make one image: the run itself, and, as a module, each round of self-calibration."""


include: "rules/common.smk"
include: "rules/prepare.smk"
include: "rules/clean.smk"
include: "rules/finish.smk"
include: "rules/measurement.smk"


if CONFIG.clean.multiterm:

    include: "rules/terms.smk"
