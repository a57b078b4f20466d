"""The workflow in Snakemake's own eyes."""


def test_lint_is_clean(project):
    linted = project().snakemake("--lint", "--configfile", "my.yaml")
    assert "Congratulations" in linted.stdout + linted.stderr


def test_lint_of_rounds_is_clean(project):
    linted = project(selfcal={"rounds": 2}).snakemake("--lint", "--configfile", "my.yaml")
    assert "Congratulations" in linted.stdout + linted.stderr


def test_dry_run_shows_the_plan_and_makes_nothing(project):
    small = project()
    plan = small.snakemake("-n", "--cores", "2", "--configfile", "my.yaml").stdout
    for rule in ("ingest", "weights", "psf", "pb", "major_cycle", "automask", "decide"):
        assert f"{rule}:" in plan
    assert not list(small.results.glob("small.*"))
