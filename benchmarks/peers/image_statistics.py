"""Peak and noise of images: image_statistics.py PREFIX ...   (reads PREFIX-image.fits and so on, or PREFIX.image.fits)

Columns: peak of the image; of the residual the largest absolute value, 1.4826 MAD over all pixels, the standard
deviation over all pixels, and over those further than 60 px from the image's peak; sum of the model; beam.
"""

from __future__ import annotations

import pathlib
import sys

import numpy as np
from astropy.io import fits

AWAY = 60  # pixels


def read(prefix, name):
    for path in (f"{prefix}-{name}.fits", f"{prefix}.{name}.fits"):
        if pathlib.Path(path).exists():
            with fits.open(path) as hdus:
                return hdus[0].data.reshape(-1, *hdus[0].data.shape[-2:])[0].astype(float), hdus[0].header
    sys.exit(f"no image {prefix}-{name}.fits or {prefix}.{name}.fits")


def row(prefix):
    image, header = read(prefix, "image")
    residual, model = read(prefix, "residual")[0], read(prefix, "model")[0]
    valid = np.isfinite(residual)
    y, x = np.unravel_index(np.nanargmax(image), image.shape)
    distance = np.hypot(*np.ogrid[-y : image.shape[0] - y, -x : image.shape[1] - x])
    values, away = residual[valid], residual[valid & (distance > AWAY)]
    mad = 1.4826 * np.median(np.abs(values - np.median(values)))
    beam = [header.get(k, np.nan) * f for k, f in (("BMAJ", 3600), ("BMIN", 3600), ("BPA", 1))]
    return [np.nanmax(image), np.abs(values).max(), mad, values.std(), away.std(), np.nansum(model), *beam]


if __name__ == "__main__":
    print(f"{'case':28s}   peak Jy/b  max|res|   MAD rms       std  std away  model Jy   beam (arcsec, deg)")
    for prefix in sys.argv[1:]:
        peak, largest, mad, std, away, flux, bmaj, bmin, bpa = row(prefix)
        figures = f"{peak:11.5g} {largest:9.4g} {mad:9.4g} {std:9.4g} {away:9.4g} {flux:9.5g}"
        print(f"{pathlib.Path(prefix).name:28s} {figures}   {bmaj:.5g} x {bmin:.5g}, {bpa:.4g}")
