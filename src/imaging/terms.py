"""The final products of a clean with Taylor terms: what restore_terms and pbcor_terms make, for all who call them."""

from __future__ import annotations

from imaging.names import Names

SPECTRA = {1: (), 2: ("alpha", "alpha.error"), 3: ("alpha", "alpha.error", "beta")}
"""Maps of the spectrum that so many terms give."""


def restored(config, names: Names) -> dict[str, str | list[str]]:
    """Outputs of the stage restore_terms, by argument."""
    count = config.nterms
    spectra = {product.replace(".", "_"): names.path(product) for product in _spectra(config)}
    return spectra | {
        "image": names.terms("image", count),
        "residual_out": names.terms("residual", count),
        "model_out": names.terms("model", count),
        "mask_out": names.mask(),
        "psf_out": names.terms("psf", 2 * count - 1),
        "sumwt_out": names.terms("sumwt", 2 * count - 1),
        "pb_out": names.terms("pb", count),
    }


def corrected(config, names: Names) -> dict[str, str | list[str]]:
    """Outputs of the stage pbcor_terms, by argument."""
    spectra = [product for product in _spectra(config) if product != "alpha.error"]
    return {f"{product}_pbcor": names.path(f"{product}.pbcor") for product in spectra} | {
        "image_pbcor": names.terms("image", config.nterms, ".pbcor")
    }


def to_correct(config, names: Names) -> dict[str, str | list[str]]:
    """Inputs of the stage pbcor_terms, by argument."""
    alpha = names.path("alpha") if _spectra(config) else []
    return {"image": names.terms("image", config.nterms), "pb": names.pb(), "alpha": alpha}


def everything(config, names: Names) -> list[str]:
    """Paths of all of them that the configuration asks for."""
    wanted = [*restored(config, names).values()]
    if config.restore.pbcor:
        wanted += corrected(config, names).values()
    return [path for entry in wanted for path in ([entry] if isinstance(entry, str) else entry)]


def _spectra(config) -> tuple[str, ...]:
    return SPECTRA[config.nterms] if config.image.stokes == "I" else ()
