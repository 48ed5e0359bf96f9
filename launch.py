"""Trains a blur scorer and evaluates it.

    python launch.py --workdir=RUN                                         the demo of configs/default.py
    python launch.py --config=FILE --config.steps=800 --workdir=RUN        another config, with one field changed
    python launch.py --mode=evaluate --workdir=RUN                         evaluates a run again, on its own data
    python launch.py --mode=dry_run --config=FILE                          measures the memory and step time of a run
    python launch.py --mode=dry_run --topology=v5e:4x8                     estimates them for chips that are not here

configs/default.py documents every field. To resume a stopped run, run the same command again. Exit status: 0 done, 1
failed, 2 invalid command line, 75 try again (the run was saved after SIGTERM or Ctrl-C, or another of its processes
stopped), 130 interrupted by Ctrl-C with nothing to save.
"""

import os
import sys
from typing import NoReturn

from absl import app, flags, logging
from ml_collections import config_flags

from blur_jax.runs import command_line, config_flag, signals

DONE, FAILED, USAGE, STOPPED = 0, 1, 2, 75  # 75 is EX_TEMPFAIL in sysexits.h: try again.
_DEFAULT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "configs", "default.py")
_INTERRUPTED = "launch.py: interrupted; run the same command again to continue"
_ALONE = (
    "launch.py: the processes of this run could not connect; start all of them within 90 seconds, with the same"
    " --coordinator and --processes, and with a different --process for each: 0, 1, 2, ..."
)
_LOST = (
    "launch.py: another process of this run has stopped; see its output. Run the same command again on all hosts to"
    " resume the run from its last checkpoint"
)


def refuse(mistake: str) -> NoReturn:
    print(f"launch.py: {mistake} (see --help and configs/default.py)", file=sys.stderr)
    sys.exit(USAGE)


try:
    _CONFIG = config_flag.define_config(_DEFAULT)
except Exception as error:  # absl checks the default config's fields here; other config files may raise any error.
    refuse(config_flag.flag_error(error))
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Run directory for checkpoints, metrics and the report: a local path or gs://."
)
_MODE = flags.DEFINE_enum(
    "mode",
    "train",
    ["train", "evaluate", "dry_run"],
    "train: train, then evaluate. evaluate: evaluate a run's best checkpoint (or --workdir=RUN/checkpoints/STEP) on the"
    " run's own data, unless --config.data.<field> selects other data. dry_run: run a few steps and print the memory"
    " and time that the full run would take. This prepares the data but does not write a run; --workdir is optional,"
    " and an existing run there is only checked for the same config.",
)
_OUTPUT = flags.DEFINE_string("output", None, "Results folder for --mode=evaluate; default: the run directory.")
_TOPOLOGY = flags.DEFINE_string(
    "topology",
    None,
    "With --mode=dry_run, compile the training step for these chips instead of running it: v5e:4x8, v5e:4x8:2 (two"
    " slices), v5litepod-32, cuda:h200:8. This needs neither data nor accelerators.",
)
_DISTRIBUTED = flags.DEFINE_boolean(
    "distributed", False, "Run as one of several processes; JAX finds the others on Cloud TPU, Slurm and Open MPI."
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "On other systems, the HOST:PORT of process 0; requires --processes and --process."
)
_PROCESSES = flags.DEFINE_integer("processes", None, "Number of processes.", lower_bound=1)
_PROCESS = flags.DEFINE_integer("process", None, "Index of this process, starting at 0.", lower_bound=0)


def run(mode: str, workdir: str | None, output: str | None) -> int:
    """Prepares the data, runs `mode` and prints the result; returns the exit status."""
    # Imports take seconds; --help and command-line errors should not wait for them.
    from blur_jax.evaluate import overrides
    from blur_jax.runs import checkpoints, distributed, program_cache, provenance, run_dir
    from blur_jax.train.config_check import check_config, divisible
    from tfds_builders.prepare import prepare_configured, required_parts

    config, flag = _CONFIG.value, flags.FLAGS["config"]
    if _TOPOLOGY.value is not None:
        from blur_jax.runs import chips
        from blur_jax.train import pod

        print(pod.report(config, chips.parse(_TOPOLOGY.value)))
        return DONE
    program_cache.keep_programs()
    if _DISTRIBUTED.value:
        distributed.join(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
        signals.joined()
        distributed.open_devices()
        distributed.check_agreement(mode=mode, **provenance.software(), **run_dir.shared_fields(config))
    else:
        distributed.divide_cpu(*divisible(config))
        distributed.open_devices()
    saved = None
    # Check for mistakes before spending minutes preparing the data.
    if mode != "evaluate":
        check_config(config, workdir)
    else:
        saved = distributed.everywhere(checkpoints.find, workdir)
        given = config_flags.get_override_values(flag)
        distributed.check_agreement(checkpoint=saved.step, checksums=saved.checksums)
        config = overrides.merge(saved.config, given, config, chosen=flag.present > 0)
        overrides.check_output(saved.config.data, config.data, output)
    config.data.sources = distributed.on_process_zero(prepare_configured, config.data, required_parts(config, mode))
    if mode == "dry_run" or workdir is None:  # `parse` requires a workdir for the other modes.
        from blur_jax.train import dry_run

        distributed.say(dry_run.report(config, workdir))
        return DONE
    if saved is not None:
        overrides.check_output(saved.config.data, config.data, output)  # Preparing the data has set the sources.
    else:
        from blur_jax.train.loop import train

        if not train(config, workdir):
            return STOPPED
    # Import plotting code late, so that training starts sooner.
    from blur_jax.evaluate.evaluation import evaluate, summary_text

    distributed.say(summary_text(evaluate(config, workdir, output, saved), workdir, output))
    return DONE


def main(argv: list[str]) -> int:
    """Runs the selected mode; prints user errors as a single sentence."""
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
        # Hide errors that Orbax both logs and raises, and its messages about checkpoints without an accuracy.
        logging.get_absl_logger().addFilter(lambda log: not log.exc_info and "tracked_metric" not in str(log.msg))
    if _DISTRIBUTED.value:
        signals.divide(_ALONE, _LOST, STOPPED)
    signals.watch(_INTERRUPTED)
    try:
        return run(_MODE.value, _WORKDIR.value, _OUTPUT.value)
    except Exception as error:
        if logging.get_verbosity() >= logging.DEBUG:
            raise
        status = report(error)
        sys.stdout.flush()
        # A normal exit would wait for threads and other processes, which may be waiting for this one.
        os._exit(status)
    except KeyboardInterrupt:
        signals.leave(_INTERRUPTED)


def report(error: Exception) -> int:
    """Prints a user error and returns the exit status; re-raises any other error."""
    if _DISTRIBUTED.value:
        from blur_jax.runs import distributed

        if distributed.is_lost(error):
            print(_LOST, file=sys.stderr, flush=True)
            return STOPPED
        if isinstance(error, distributed.DisagreementError):
            print(f"launch.py: {error}", file=sys.stderr, flush=True)
            return USAGE
    if isinstance(error, command_line.BUGS):
        raise error
    message = command_line.sentence(error)
    print(f"launch.py: {message}\n(pass --verbosity=1 for a traceback)", file=sys.stderr, flush=True)
    return FAILED


def parse(argv: list[str]) -> list[str]:
    """Reads the flags and the config."""
    try:
        rest = flags.FLAGS(argv)
        _CONFIG.value.lock()  # Fails if the config file could not be read.
    except SystemExit:  # absl exits with status 1 after --help.
        sys.exit(DONE)
    except Exception as error:
        refuse(config_flag.flag_error(error))
    if len(rest) > 1:
        refuse(f"unknown argument {rest[1]!r}; set fields with --config.<field>=<value>")
    if _TOPOLOGY.value is not None and (_MODE.value != "dry_run" or _WORKDIR.value or _DISTRIBUTED.value):
        refuse("--topology is only for --mode=dry_run, without --workdir and --distributed")
    if not _WORKDIR.value and _MODE.value != "dry_run":
        refuse("--workdir is missing; pass --workdir=RUN, the run directory")
    _, processes, process = explicit = (_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
    if explicit != (None, None, None) and (None in explicit or not _DISTRIBUTED.value):
        refuse("--coordinator, --processes and --process must be passed together, and with --distributed")
    if processes is not None and process is not None and process >= processes:
        refuse(f"--process={process} must be below --processes={processes}; processes are numbered from 0")
    if _OUTPUT.value and _MODE.value != "evaluate":
        refuse("--output is only for --mode=evaluate; training writes to --workdir")
    return rest


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
