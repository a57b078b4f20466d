"""ingest: the selected, unflagged samples of MeasurementSets, as Stokes visibilities, to the store."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from imaging import units
from imaging.algorithms import averaging, phase_rotation, polarisation
from imaging.io.atomic import atomic_path
from imaging.io.ms import data_column
from imaging.io.ms_reader import Chunk, Reader, open_readers
from imaging.io.visibility_store import PartWriter, write_meta
from imaging.log import logger
from imaging.settings import Settings
from imaging.stages.correcting import Corrector, load
from imaging.stages.pointings import describe_source, field_centre, image_centre, summarise, warn_of_other_pointings


def ingest(ms: list[str], solutions: str = "", *, vis: str, config: Settings) -> None:
    """Write the visibility store `vis` from the MeasurementSets `ms`, corrected by `solutions` where there are some.

    `config` holds data (all but vis is read) and image (stokes, phasecenter, imsize, cell). Raises ImagingError
    where the data or the selection leave nothing to image.
    """
    table = load(solutions or config.data.solutions)
    readers, all_steps, place = prepare([ms] if isinstance(ms, str) else ms, config)
    correctors = [Corrector(reader, table, config.data.interp) if table else None for reader in readers]
    with atomic_path(vis) as folder:
        folder.mkdir()
        parts, sources = [], []
        for source, (reader, steps) in enumerate(zip(readers, all_steps, strict=True)):
            column = data_column(reader.meta, config.data.datacolumn)
            logger.info("%s: reading %s, %d rows", reader.meta.path, column, reader.survey.rows.total())
            for i, step in enumerate(steps.values(), len(parts)):
                step.start(folder / f"part{i:03d}")
            apply = correctors[source]
            used = {ddid: apply.needed(ddid, step.used) if apply else step.used for ddid, step in steps.items()}
            for chunk in reader.chunks(column, used):
                steps[chunk.ddid].take(apply(chunk, steps[chunk.ddid].used) if apply else chunk)
            if apply:
                apply.tell()
            parts += [step.finish(source) for step in steps.values()]
            sources.append(describe_source(reader, column))
            reader.close()
        counts = sum((Counter(part["counts"]) for part in parts), Counter())
        signal = any(part["signal"] for part in parts)
        polarisation.check_samples(counts, signal, ", ".join(sorted({s["column"] for s in sources})))
        kept = [part for part in parts if part["rows"]]
        write_meta(folder, {**summarise(readers, kept), **place, "parts": kept, "sources": sources})


def prepare(ms: list[str], config: Settings) -> tuple[list[Reader], list[dict[int, Part]], dict]:
    """All but the visibilities: readers, what becomes of each DATA_DESC_ID of them, and where on the sky."""
    stokes = units.parse_stokes(config.image.stokes)
    readers = open_readers(ms, config.data)
    centre, frame = image_centre(readers[0], config.image.phasecenter)
    # The dishes point at the field, wherever the image's centre is.
    pointing, _ = field_centre(readers[0].meta, readers[0].survey.first_field, frame)
    warn_of_other_pointings(readers, pointing, frame)
    steps = [
        {ddid: Part(reader, ddid, stokes, centre, frame, config) for ddid in sorted(reader.survey.rows)}
        for reader in readers
    ]
    return readers, steps, {"stokes": stokes, "phase_centre": centre, "frame": frame, "pointing": pointing}


class Part:
    """What happens to the samples of one DATA_DESC_ID: Stokes, phase centre, averages, store."""

    def __init__(self, reader: Reader, ddid: int, stokes, centre, frame: str, config: Settings):
        self.meta, self.ddid, data = reader.meta, ddid, config.data
        window, channels = self.meta.window(ddid), reader.channels(ddid)
        self.matrix, self.used, self.weighing = polarisation.stokes_matrix(self.meta.correlations(ddid), stokes)
        self.freq = window.freq[channels]
        self.centre, self.planes = centre, len(stokes)
        self.centres = {field: field_centre(self.meta, field, frame) for field in reader.survey.fields}
        for old, twist in self.centres.values():
            phase_rotation.turn(old, centre, twist)  # raises where they are too far from each other
        # The image's size is known here only where averaging asks for it: otherwise it would rerun this stage.
        offset = averaging.chord(config.image.cell, config.image.imsize) if config.image.cell else 0.0
        self.plan = averaging.plan(
            channels, self.freq, window.width[channels], data.chanaverage, data.timeaverage, reader.survey.begin,
            reader.survey.longest, offset, data.maxsmearing,
        )  # fmt: skip
        self.counts = Counter(autocorrelation_rows=reader.survey.autocorrelations[ddid])

    def start(self, folder: Path) -> None:
        """Write to `folder` what is to come."""
        self.writer = PartWriter(folder, self.plan.freq, self.plan.width, self.planes)

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
