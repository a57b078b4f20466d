"""ingest: the selected, unflagged samples of MeasurementSets, as Stokes visibilities, to the store."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np

from imaging import units
from imaging.algorithms import averaging, phase_rotation, polarisation
from imaging.errors import ImagingError
from imaging.io.atomic import atomic_path
from imaging.io.ms import Chunk, Reader, data_column, read_metadata
from imaging.io.selection import EPOCH, parse_selection
from imaging.io.visibility_store import PartWriter, write_meta
from imaging.log import logger
from imaging.settings import Settings


def ingest(ms: list[str], *, vis: str, config: Settings) -> None:
    """Write the visibility store `vis` from the MeasurementSets `ms`.

    `config` holds data (all but vis is read) and image (stokes, phasecenter, imsize, cell). Raises ImagingError
    where the data or the selection leave nothing to image.
    """
    stokes = units.parse_stokes(config.image.stokes)
    readers = _open([ms] if isinstance(ms, str) else ms, config.data)
    centre, frame = _image_centre(readers, config.image.phasecenter)
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
        _check_samples(parts, sources)
        kept = [part for part in parts if part["rows"]]
        write_meta(folder, {**_summary(readers, kept), "parts": kept, "sources": sources, "stokes": stokes,
                            "phase_centre": centre, "frame": frame})  # fmt: skip


class _Part:
    """What happens to the samples of one DATA_DESC_ID: Stokes, phase centre, averages, store."""

    def __init__(self, reader: Reader, ddid: int, folder: Path, stokes, centre, frame: str, config: Settings):
        meta, data = reader.meta, config.data
        window, channels = meta.window(ddid), reader.channels(ddid)
        self.meta, self.ddid, self.autocorrelations = meta, ddid, reader.survey.autocorrelations[ddid]
        self.matrix, self.used, self.weighing = polarisation.stokes_matrix(meta.correlations(ddid), stokes)
        self.freq, width = window.freq[channels], np.abs(window.width[channels])
        self.centre, self.frame, self.counts = centre, frame, Counter()
        offset = averaging.chord(config.image.cell, config.image.imsize)
        longest, bound = reader.survey.longest, data.maxsmearing
        if data.chanaverage > 1:
            _check_channel_average(data.chanaverage, bound, width.max(), longest, offset)
        self.groups = averaging.channel_groups(channels, data.chanaverage)
        counts = np.diff(np.r_[self.groups, len(channels)])
        freq = np.add.reduceat(self.freq, self.groups) / counts
        band = float(np.add.reduceat(width, self.groups).max()) if data.chanaverage > 1 else 0.0
        self.averager = None
        if data.timeaverage > 0:
            origin = reader.survey.begin
            self.averager = averaging.TimeAverager(data.timeaverage, origin, freq, band, offset, bound)
            allowed = float(self.averager.longest(np.array([longest]))[0])
            if allowed < data.timeaverage:
                logger.warning(
                    "timeaverage %g s would lose more than %g (maxsmearing) of the amplitude at the edge of the image"
                    " on long baselines: these are averaged less, the longest (%.4g m) at most %.3g s",
                    data.timeaverage, bound, longest, allowed)  # fmt: skip
        self.writer = PartWriter(folder, freq, np.add.reduceat(width, self.groups), len(stokes))

    def take(self, chunk: Chunk):
        """Convert one chunk and hand it on."""
        vis, weight, counts = polarisation.make_stokes(
            chunk.vis, chunk.flag, chunk.weight, chunk.uvw, self.matrix, self.weighing
        )
        self.counts.update(counts, rows=len(chunk.time), undefined_rows=chunk.undefined)
        block = averaging.Block(chunk.uvw, vis, weight, chunk.time, chunk.antenna1, chunk.antenna2, chunk.field)
        block = block.take(weight.any(axis=1))
        for field in np.unique(block.field).tolist():
            here = block.take(block.field == field) if (block.field != field).any() else block
            old, twist = _field_centre(self.meta, field, self.frame)
            here.uvw, here.vis = phase_rotation.rotate(here.uvw, here.vis, self.freq, old, self.centre, twist)
            here = averaging.average_channels(here, self.groups)
            averaged = here if self.averager is None else self.averager.push(here)
            if averaged is not None:
                self.writer.append(averaged)

    def finish(self, source: int) -> dict:
        """The part's entry in the store's meta, also where it has no rows."""
        rest = self.averager.flush() if self.averager else None
        if rest is not None:
            self.writer.append(rest)
        more = {"source": source, "ddid": self.ddid, "spw": self.meta.descriptions[self.ddid][0],
                "specframe": self.meta.window(self.ddid).frame, "signal": self.writer.any_signal,
                "counts": {**self.counts, "autocorrelation_rows": self.autocorrelations}}  # fmt: skip
        entry = self.writer.close(**more)
        counts = self.counts
        logger.info("spw %d: %d rows; of %d samples %d good, %d flagged, %d not finite, %d without weight",
                    more["spw"], counts["rows"], counts["selected"], counts["good"], counts["flagged"],
                    counts["nonfinite"], counts["zero_weight"])  # fmt: skip
        if counts["nonfinite"]:
            logger.warning("%d unflagged samples are NaN or infinite: dropped", counts["nonfinite"])
        return entry or {"rows": 0, **more}


def _open(paths: list[str], data: Settings) -> list[Reader]:
    """Readers of all sets that have selected rows."""
    if not paths:
        raise ImagingError("No MeasurementSet is given.", got="data.vis: []", expected="data.vis: path/to/my.ms",
                           next_step="name the MeasurementSet in the configuration")  # fmt: skip
    readers = []
    for path in paths:
        meta = read_metadata(path)
        data_column(meta, data.datacolumn)
        readers.append(Reader(meta, parse_selection(meta, data), data.taql))
    selected = [reader for reader in readers if reader.survey.rows]
    for reader in readers:
        if reader not in selected:
            logger.warning("%s: %s", reader.meta.path, _why_empty(reader))
    if not selected:
        raise ImagingError("The selection takes no rows.", got="; ".join(_why_empty(r) for r in readers),
                           expected="rows that meet all of the selection",
                           next_step="widen the selection in the section data: field, spw, timerange, uvrange, antenna,"
                           " scan, observation, intent, taql")  # fmt: skip
    return selected


def _why_empty(reader: Reader) -> str:
    met = ", ".join(f"{name} {count}" for name, count in sorted(reader.survey.met.items()))
    auto = reader.survey.autocorrelations.total()
    return (f"0 of {reader.meta.rows} rows" + (f" (rows that meet each criterion: {met})" if met else "")
            + (f"; {auto} autocorrelations were left out" if auto else ""))  # fmt: skip


def _field_centre(meta, field: int, frame: str) -> tuple[tuple[float, float], float]:
    if not 0 <= field < len(meta.fields):
        raise ImagingError(f"FIELD of {meta.path} does not describe the data.", got=f"FIELD_ID {field}",
                           expected=f"0 to {len(meta.fields) - 1}", next_step="repair the MeasurementSet")  # fmt: skip
    centre, twist = phase_rotation.to_frame(tuple(meta.directions[field].tolist()), meta.frames[field], frame)
    return centre, twist if meta.uvw_frame not in phase_rotation.EQUATORIAL else 0.0


def _image_centre(readers: list[Reader], phasecenter: str | int) -> tuple[tuple[float, float], str]:
    """The image's (ra, dec) rad and frame: as given, that of a field, or that of the first selected row."""
    meta = readers[0].meta
    field = phasecenter if isinstance(phasecenter, int) else readers[0].survey.first_field
    if isinstance(phasecenter, int) and phasecenter >= len(meta.fields):
        raise ImagingError(f"image.phasecenter {phasecenter} is no field of {meta.path}.", got=phasecenter,
                           expected=", ".join(f"{i} ({name})" for i, name in enumerate(meta.fields)),
                           next_step="choose one of these, a direction, or '' for the first selected")  # fmt: skip
    frame = phase_rotation.EQUATORIAL.get(meta.frames[field], "FK5")
    if isinstance(phasecenter, str) and phasecenter:
        return units.parse_direction(phasecenter), frame
    (ra, dec), _ = _field_centre(meta, field, frame)
    return (ra % (2 * np.pi), dec), frame


def _check_channel_average(asked: int, bound: float, width: float, longest: float, offset: float):
    allowed = averaging.channels_within(bound, width, longest, offset)
    if asked > allowed:
        lost = float(averaging.loss(longest * offset * width * asked / averaging.SPEED_OF_LIGHT))
        raise ImagingError(
            f"data.chanaverage {asked} would smear the edge of the image.",
            got=f"a loss of {lost:.2g} of the amplitude on the longest baseline, {longest:.4g} m",
            expected=f"at most {bound:g} (data.maxsmearing), which {allowed} channels keep",
            next_step=f"set data.chanaverage: {allowed}, or a larger data.maxsmearing",
        )


def _check_samples(parts: list[dict], sources: list[dict]):
    """Raise where nothing is left to image, and say why."""
    counts = Counter()
    for part in parts:
        counts.update(part["counts"])
    if any(part["signal"] for part in parts):
        return
    columns = sorted({source["column"] for source in sources})
    got = ", ".join(f"{counts[key]} {key.replace('_', ' ')}" for key in
                    ("selected", "flagged", "nonfinite", "zero_weight", "good"))  # fmt: skip
    if counts["good"]:
        raise ImagingError(f"The column {', '.join(columns)} is all zero.", got=f"samples: {got}",
                           expected="visibilities other than 0",
                           next_step="choose another data.datacolumn (auto, data, corrected, model)")  # fmt: skip
    if counts["undefined_rows"] == counts["rows"]:
        what, step = f"The column {', '.join(columns)} has no values.", "choose another data.datacolumn"
    elif counts["flagged"] == counts["selected"]:
        what, step = "All selected data are flagged.", "select other data, or undo flags in the MeasurementSet"
    elif counts["nonfinite"] >= counts["zero_weight"]:
        what, step = "All selected data are NaN or infinite, or flagged.", "select other data or another datacolumn"
    else:
        what, step = "All selected data have zero weight, or are flagged.", "initialise the weights of the data"
    raise ImagingError(what, got=f"samples: {got}", expected="some good samples", next_step=step)


def _source(reader: Reader, column: str) -> dict:
    meta = reader.meta
    return {"name": Path(meta.path).resolve().name, "rows": meta.rows, "column": column,
            "telescope": meta.telescope, "fields": [meta.fields[f] for f in sorted(reader.survey.fields)]}  # fmt: skip


def _summary(readers: list[Reader], parts: list[dict]) -> dict:
    """What later stages and headers want to know of all the parts together."""
    meta, begin = readers[0].meta, min(r.survey.begin for r in readers)
    dishes = sorted({round(float(r.meta.diameters[a]), 2) for r in readers for a in r.survey.antennas
                     if r.meta.diameters[a] > 0})  # fmt: skip
    telescopes = sorted({r.meta.telescope for r in readers})
    if len(telescopes) > 1:
        logger.warning("data of several telescopes: %s; taken as %s", ", ".join(telescopes), meta.telescope)
    low, high = (f(c for p in parts for c in p["freq"]) for f in (min, max))
    return {
        "object": meta.fields[readers[0].survey.first_field],
        "telescope": meta.telescope, "observer": meta.observer, "dish_diameters": dishes,
        "date_obs": (EPOCH + timedelta(seconds=begin)).strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "time_range": [begin, max(r.survey.end for r in readers)],
        "specframe": parts[0]["specframe"], "reference_frequency": (low + high) / 2,
        "frequency_range": [low, high], "max_uv": max(p["max_uv"] for p in parts),
        "max_w": max(p["max_w"] for p in parts), "sumwt": sum(p["sumwt"] for p in parts),
        "max_uv_wavelengths": max(p["max_uv"] * max(p["freq"]) for p in parts) / averaging.SPEED_OF_LIGHT,
    }  # fmt: skip
