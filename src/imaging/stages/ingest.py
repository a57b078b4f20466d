"""ingest: the selected, unflagged samples of MeasurementSets, as Stokes visibilities, to the store."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np

from imaging import units
from imaging.algorithms import averaging, phase_rotation, polarisation
from imaging.errors import ImagingError
from imaging.image import radec_to_lmn
from imaging.io.atomic import atomic_path
from imaging.io.ms import Metadata, data_column
from imaging.io.ms_reader import Chunk, Reader, open_readers
from imaging.io.selection import EPOCH
from imaging.io.visibility_store import PartWriter, write_meta
from imaging.log import logger
from imaging.settings import Settings

SAME_POINTING = 1e-5
"""rad."""


def ingest(ms: list[str], *, vis: str, config: Settings) -> None:
    """Write the visibility store `vis` from the MeasurementSets `ms`.

    `config` holds data (all but vis is read) and image (stokes, phasecenter, imsize, cell). Raises ImagingError
    where the data or the selection leave nothing to image.
    """
    stokes = units.parse_stokes(config.image.stokes)
    readers = open_readers([ms] if isinstance(ms, str) else ms, config.data)
    centre, frame = _image_centre(readers[0], config.image.phasecenter)
    # The dishes point at the field, wherever the image's centre is.
    pointing, _ = _field_centre(readers[0].meta, readers[0].survey.first_field, frame)
    _warn_of_other_pointings(readers, pointing, frame)
    with atomic_path(vis) as folder:
        folder.mkdir()
        parts, sources = [], []
        for source, reader in enumerate(readers):
            column = data_column(reader.meta, config.data.datacolumn)
            logger.info("%s: reading %s, %d rows", reader.meta.path, column, reader.survey.rows.total())
            steps = {
                ddid: _Part(reader, ddid, folder / f"part{len(parts) + i:03d}", stokes, centre, frame, config)
                for i, ddid in enumerate(sorted(reader.survey.rows))
            }
            for chunk in reader.chunks(column, {ddid: step.used for ddid, step in steps.items()}):
                steps[chunk.ddid].take(chunk)
            parts += [step.finish(source) for step in steps.values()]
            sources.append(_source(reader, column))
            reader.close()
        counts = sum((Counter(part["counts"]) for part in parts), Counter())
        signal = any(part["signal"] for part in parts)
        polarisation.check_samples(counts, signal, ", ".join(sorted({s["column"] for s in sources})))
        kept = [part for part in parts if part["rows"]]
        write_meta(
            folder,
            {**_summary(readers, kept), "parts": kept, "sources": sources, "stokes": stokes, "phase_centre": centre}
            | {"frame": frame, "pointing": pointing},
        )


class _Part:
    """What happens to the samples of one DATA_DESC_ID: Stokes, phase centre, averages, store."""

    def __init__(self, reader: Reader, ddid: int, folder: Path, stokes, centre, frame: str, config: Settings):
        self.meta, self.ddid, data = reader.meta, ddid, config.data
        window, channels = self.meta.window(ddid), reader.channels(ddid)
        self.matrix, self.used, self.weighing = polarisation.stokes_matrix(self.meta.correlations(ddid), stokes)
        self.freq = window.freq[channels]
        self.centre = centre
        self.centres = {field: _field_centre(self.meta, field, frame) for field in reader.survey.fields}
        # The image's size is known here only where averaging asks for it: otherwise it would rerun this stage.
        offset = averaging.chord(config.image.cell, config.image.imsize) if config.image.cell else 0.0
        self.plan = averaging.plan(
            channels, self.freq, window.width[channels], data.chanaverage, data.timeaverage, reader.survey.begin,
            reader.survey.longest, offset, data.maxsmearing,
        )  # fmt: skip
        self.counts = Counter(autocorrelation_rows=reader.survey.autocorrelations[ddid])
        self.writer = PartWriter(folder, self.plan.freq, self.plan.width, len(stokes))

    def take(self, chunk: Chunk) -> None:
        """Convert one chunk and hand it on."""
        vis, weight, counts = polarisation.make_stokes(
            chunk.vis, chunk.flag, chunk.weight, chunk.uvw, self.matrix, self.weighing
        )
        self.counts.update(counts, rows=len(chunk.time), undefined_rows=chunk.undefined)
        block = averaging.Block(chunk.uvw, vis, weight, chunk.time, chunk.antenna1, chunk.antenna2, chunk.field)
        block = block.take(weight.any(axis=1))
        for field in np.unique(block.field).tolist():
            old, twist = self.centres[field]
            rows = block.field == field
            if old != self.centre or twist:
                block.uvw[rows], block.vis[:, rows] = phase_rotation.rotate(
                    block.uvw[rows], block.vis[:, rows], self.freq, old, self.centre, twist
                )
        block = averaging.average_channels(block, self.plan.groups)
        if len(block.time):
            self._write(block if self.plan.averager is None else self.plan.averager.push(block))

    def _write(self, block: averaging.Block | None) -> None:
        if block is not None:
            self.writer.append(block)

    def finish(self, source: int) -> dict:
        """The part's entry in the store's meta, also where it has no rows."""
        if self.plan.averager is not None:
            self._write(self.plan.averager.flush())
        counts = dict(self.counts)
        spw = self.meta.descriptions[self.ddid][0]
        more = {"source": source, "ddid": self.ddid, "spw": spw, "specframe": self.meta.window(self.ddid).frame}
        entry = self.writer.close(**more, signal=self.writer.any_signal, counts=counts)
        _log(spw, counts, self.plan.averager)
        return entry or {"rows": 0, "signal": False, "counts": counts}


def _log(spw: int, counts: dict, averager: averaging.TimeAverager | None) -> None:
    logger.info(
        "spw %d: %d rows; of %d samples %d good, %d flagged, %d not finite, %d without weight",
        spw, *(counts[key] for key in ("rows", "selected", "good", "flagged", "nonfinite", "zero_weight")),
    )  # fmt: skip
    if counts["nonfinite"]:
        logger.warning("%d unflagged samples are NaN or infinite: dropped", counts["nonfinite"])
    if averager is not None and averager.shortened:
        logger.warning(
            "%d rows are averaged over less than timeaverage, %g s: more would lose over %g (maxsmearing) of the"
            " amplitude at the edge of the image; on the longest baseline, %.4g m, at most %.3g s are averaged",
            averager.shortened, averager.duration, averager.bound, averager.reach,
            float(averager.longest(np.array([averager.reach]))[0]),
        )  # fmt: skip


def _field_centre(meta: Metadata, field: int, frame: str) -> tuple[tuple[float, float], float]:
    """A field's phase centre in the image's frame, and the turn of its uvw's north there."""
    if not 0 <= field < len(meta.fields):
        raise ImagingError(f"FIELD of {meta.path} does not describe the data.", got=f"FIELD_ID {field}",
                           expected=f"0 to {len(meta.fields) - 1}", next_step="repair the MeasurementSet")  # fmt: skip
    (ra, dec), twist = phase_rotation.to_frame(tuple(meta.directions[field].tolist()), meta.frames[field], frame)
    return (ra % (2 * np.pi), dec), twist if meta.uvw_frame not in phase_rotation.EQUATORIAL else 0.0


def _warn_of_other_pointings(readers: list[Reader], pointing: tuple[float, float], frame: str) -> None:
    """One primary beam cannot be right for dishes that point at several places."""
    chosen = {
        reader.meta.fields[field]: _field_centre(reader.meta, field, frame)[0]
        for reader in readers for field in sorted(reader.survey.fields)
    }  # fmt: skip
    far = [name for name, centre in chosen.items() if np.hypot(*radec_to_lmn(*centre, pointing)[:2]) > SAME_POINTING]
    if far:
        logger.warning("fields of several pointings in one image (%s): the primary beam is that of the first alone; "
                       "choose with data.field", ", ".join(far))  # fmt: skip


def _image_centre(reader: Reader, phasecenter: str | int) -> tuple[tuple[float, float], str]:
    """The image's (ra, dec) rad and frame: as given, that of a field, or that of the first selected row."""
    meta = reader.meta
    field = phasecenter if isinstance(phasecenter, int) else reader.survey.first_field
    if isinstance(phasecenter, int) and phasecenter >= len(meta.fields):
        raise ImagingError(f"image.phasecenter {phasecenter} is no field of {meta.path}.", got=phasecenter,
                           expected=", ".join(f"{i} ({name})" for i, name in enumerate(meta.fields)),
                           next_step="choose one of these, a direction, or '' for the first selected")  # fmt: skip
    frame = phase_rotation.EQUATORIAL.get(meta.frames[field], "FK5")
    if isinstance(phasecenter, str) and phasecenter:
        return units.parse_direction(phasecenter), frame
    return _field_centre(meta, field, frame)[0], frame


def _source(reader: Reader, column: str) -> dict:
    meta = reader.meta
    return {"name": Path(meta.path).resolve().name, "rows": meta.rows, "column": column,
            "telescope": meta.telescope, "fields": [meta.fields[f] for f in sorted(reader.survey.fields)]}  # fmt: skip


def _summary(readers: list[Reader], parts: list[dict]) -> dict:
    """What later stages and headers want to know of all the parts together."""
    meta, begin = readers[0].meta, min(r.survey.begin for r in readers)
    dishes = {round(float(r.meta.diameters[a]), 2) for r in readers for a in r.survey.antennas}
    telescopes = sorted({r.meta.telescope for r in readers})
    if len(telescopes) > 1:
        logger.warning("data of several telescopes: %s; taken as %s", ", ".join(telescopes), meta.telescope)
    low, high = (f(c for p in parts for c in p["freq"]) for f in (min, max))
    return {
        "object": meta.fields[readers[0].survey.first_field],
        "telescope": meta.telescope, "observer": meta.observer, "dish_diameters": sorted(d for d in dishes if d > 0),
        "date_obs": (EPOCH + timedelta(seconds=begin)).strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "time_range": [begin, max(r.survey.end for r in readers)],
        "specframe": parts[0]["specframe"], "reference_frequency": (low + high) / 2,
        "frequency_range": [low, high], "max_uv": max(p["max_uv"] for p in parts),
        "max_w": max(p["max_w"] for p in parts), "sumwt": sum(p["sumwt"] for p in parts),
        "max_uv_wavelengths": max(p["max_uv"] * max(p["freq"]) for p in parts) / averaging.SPEED_OF_LIGHT,
    }  # fmt: skip
