"""Every workload of the benchmarks at a tiny size: tinymem's side computes, and the peers that are installed agree with it."""

import dataclasses
import importlib.util
import pathlib
import subprocess
import sys

import numpy
import pytest

from benchmarks import cold_start, comparison, step_in_tinymem, workloads
from benchmarks.contestant import largest_difference

PEERS = [(name, library) for name in workloads.NAMES for library in ("torch", "jax")]


def tiny(name):
    workload = workloads.load(name)
    return dataclasses.replace(workload, sizes=workload.tiny)


def started(workload, batch, dtype):
    rng = numpy.random.default_rng(0)
    return workload.start(rng), workload.draw(workload.sizes, rng, batch), dtype


@pytest.mark.parametrize("mode", step_in_tinymem.MODES)
@pytest.mark.parametrize("name", workloads.NAMES)
def test_every_parameter_gets_a_gradient_of_its_shape_and_precision(name, mode):
    workload = tiny(name)
    contestant = step_in_tinymem.MODES[mode](workload, *started(workload, 2, "float32"))
    loss, gradients = contestant.gradients()
    parameters = contestant.parameters()
    assert numpy.isfinite(loss)
    assert set(gradients) == set(parameters)
    for parameter, gradient in gradients.items():
        assert gradient.shape == parameters[parameter].shape
        assert gradient.dtype == numpy.float32
        assert numpy.isfinite(gradient).all()
        assert gradient.any(), parameter


@pytest.mark.parametrize("mode", step_in_tinymem.MODES)
@pytest.mark.parametrize("name", workloads.NAMES)
def test_a_gradient_is_the_slope_of_the_loss(name, mode):
    workload = tiny(name)
    parameters, data, dtype = started(workload, 2, "float64")
    _, gradients = step_in_tinymem.MODES[mode](workload, parameters, data, dtype).gradients()
    rng = numpy.random.default_rng(1)
    direction = {name: rng.standard_normal(array.shape) for name, array in parameters.items()}
    losses = []
    for sign in (1, -1):
        moved = {name: array + sign * 1e-6 * direction[name] for name, array in parameters.items()}
        losses.append(step_in_tinymem.MODES[mode](workload, moved, data, dtype).gradients()[0])
    slope = sum(float((gradients[name] * direction[name]).sum()) for name in gradients)
    assert (losses[0] - losses[1]) / 2e-6 == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("mode", step_in_tinymem.MODES)
@pytest.mark.parametrize("name", workloads.NAMES)
def test_steps_change_every_parameter_and_lower_the_loss(name, mode):
    workload = tiny(name)
    contestant = step_in_tinymem.MODES[mode](workload, *started(workload, 2, "float32"))
    before = contestant.parameters()
    losses = [contestant.step() for _ in range(20)]
    after = contestant.parameters()
    assert losses[-1] < losses[0]
    assert all((before[parameter] != after[parameter]).any() for parameter in before)


@pytest.mark.parametrize(("name", "library"), PEERS)
@pytest.mark.filterwarnings("default")  # the peers' own warnings are not ours
def test_peers_compute_the_same(name, library):
    if not importlib.util.find_spec(library):
        pytest.skip(f"{library} is not installed: pip install -e '.[bench]'")
    workload = tiny(name)
    peers = {label: peer for label, peer in workload.peers.items() if peer.library == library}
    present, _ = comparison.contestants(dataclasses.replace(workload, peers=peers))
    found = comparison.agreement(workload, present, batch=2)
    assert set(peers) <= set(found)


def test_a_wrong_peer_is_refused():
    workload = tiny("stack-rnn")

    def wrong(parameters, data, dtype):
        return step_in_tinymem.in_tinymem(
            dataclasses.replace(workload, loss=lambda model, data: 1.000001 * workload.loss(model, data)), parameters, data, dtype
        )

    present, _ = comparison.contestants(dataclasses.replace(workload, peers={}))
    with pytest.raises(SystemExit, match="differs from tinymem"):
        comparison.agreement(workload, present | {"wrong": wrong}, batch=2)


def test_other_parameters_are_refused():
    with pytest.raises(ValueError, match=r"different parameters: \['b'\]"):
        largest_difference({"a": numpy.ones(1)}, {"a": numpy.ones(1), "b": numpy.ones(1)})


def test_a_table_has_a_row_for_everyone():
    times = {
        "median_ms": 1.0,
        "lowest_ms": 1.0,
        "first_step_seconds": 1.0,
        "rounds": 3,
        "over_tinymem": dict.fromkeys(step_in_tinymem.MODES, 1.0),
    }
    result = {"title": "T", "missing": {"gone": "not installed"}, "agreement": {}, "batches": {2: {"here": times}}}
    lines = comparison.table(result)
    assert len({line.count("|") for line in lines}) == 1
    assert lines[-2].startswith("| here | 2 | 1.00")
    assert lines[-1].startswith("| gone | 2 | not measured: not installed")


def test_cold_start_names_contestants_that_exist():
    workload = workloads.load(cold_start.WORKLOAD)
    assert set(cold_start.CONTESTANTS) <= {*step_in_tinymem.MODES, *workload.peers}


def test_cold_start_reports_seconds_and_memory():
    report = cold_start.start("tinymem eager")
    assert set(report) == {
        "ready_seconds",
        "first_step_seconds",
        "first_step_wall_seconds",
        "second_step_seconds",
        "second_step_wall_seconds",
        "peak_megabytes",
    }
    assert all(value > 0 for value in report.values())


def test_the_command_imports_no_numpy_before_the_threads_are_settled():
    code = "import sys, benchmarks.__main__, benchmarks.cold_start; sys.exit('numpy' in sys.modules)"
    root = pathlib.Path(workloads.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
