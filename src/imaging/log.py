"""The log of a job: what it did in a file, and for a user's mistake one message instead of a traceback."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
import traceback

from imaging.errors import ImagingError

logger = logging.getLogger("imaging")
FAILED = "FAILED"
"""First line of the last block of a failed job's log; the message for the user follows it."""


def log_file() -> str:
    """Path of the log that is being written, from the working folder; "" where there is none."""
    files = [handler.baseFilename for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    return os.path.relpath(files[-1]) if files else ""


@contextlib.contextmanager
def job_log(path: str):
    """Write what is logged while the block runs to the file `path`; yields the handler."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    handler = logging.FileHandler(path, mode="w")
    handler.handleError = lambda record: None  # on a full disk the log goes without; the message must get out
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logging.captureWarnings(False)
        logging.getLogger("py.warnings").removeHandler(handler)
        with contextlib.suppress(OSError):
            handler.close()


@contextlib.contextmanager
def log_to(path: str, stage: str):
    """Log to the file `path` while the block runs; a failure ends the process with status 1 and one message.

    An ImagingError is the user's to mend and is shown as it is. Anything else is a defect: the traceback goes
    to the log and the message names the log.
    """
    with job_log(path) as handler:
        started = time.perf_counter()
        try:
            yield
            logger.info("%s done in %.2f s", stage, time.perf_counter() - started)
        except ImagingError as error:
            _fail(handler, stage, str(error))
        except (OSError, MemoryError) as error:
            logger.info("%s", traceback.format_exc())
            message = ImagingError(f"{stage} could not read or write a file, or ran out of memory.", got=error,
                                   expected="readable input, free disk and memory",
                                   next_step="make room or mend the permissions, then run again")  # fmt: skip
            _fail(handler, stage, str(message))
        except Exception as error:
            logger.info("%s", traceback.format_exc())
            message = ImagingError(f"{stage} failed: a defect of the program.", got=f"{type(error).__name__}: {error}",
                                   expected="no such error", next_step=f"see {path}, and report it")  # fmt: skip
            _fail(handler, stage, str(message))


def _fail(handler: logging.FileHandler, stage: str, message: str):
    print(message, file=sys.stderr)
    with contextlib.suppress(OSError):
        handler.stream.write(f"{FAILED} {stage}\n{message}\n")
        handler.stream.flush()
    raise SystemExit(1)
