"""The extended dialect: products of signals, exact and read back; refused by every other reader."""

from __future__ import annotations

import re

import h5py
import nir
import numpy as np
import pytest
from asnn_exporters.nir import exporter, read
from asnn_targets.nir import target
from exactness import EVERYTHING, assert_order_free, assert_same
from hypothesis import given, settings
from networks.attention import attention, transformer_block
from networks.drawn import attentions
from networks.formats import convolutional
from networks.making import random_inputs
from nir_errors import refused

from asnn_deploy.deploy.deployment import Deployment
from asnn_deploy.engine.runner import run
from asnn_deploy.errors import BundleError
from asnn_deploy.ir.graph import DeployGraph, Edge
from asnn_deploy.ir.layers import Product, Reshape


def assert_exact(graph, folder):
    """Read back whole, and every spike, potential and summand as the reference has them."""
    path = folder / exporter.write(graph, folder)[0]
    assert read(path) == graph
    images = random_inputs(graph, 4)
    expected = run(graph, images, EVERYTHING)
    with Deployment(graph, files={"nir": path}) as deployment, target.open(deployment, 4) as session:
        found = session.run(images, EVERYTHING)
    assert_order_free(graph)
    assert_same(graph, images, found, expected)


@pytest.mark.parametrize("network", [attention, transformer_block])
def test_products_are_exact(network, tmp_path):
    assert_exact(network(), tmp_path)


@settings(max_examples=12)
@given(graph=attentions())
def test_any_attention_is_exact(graph, tmp_path_factory):
    assert_exact(graph, tmp_path_factory.mktemp("nir"))


@pytest.mark.parametrize("late", [0, 3])
def test_a_signal_times_itself(tmp_path, late):
    """Also if it comes too late for any step to read it."""
    graph = convolutional(T=3)
    layers, edges = [*graph.layers], [*graph.edges]
    at = next(i for i, layer in enumerate(layers) if layer.kind == "flatten")
    layers.insert(at, Product("square", "chw,chw->chw"))
    edges = [Edge("square", "flatten", late) if edge.target == "flatten" else edge for edge in edges]
    edges += [Edge(layers[at - 1].name, "square")] * 2
    assert_exact(DeployGraph(graph.input_shape, graph.code, tuple(layers), tuple(edges)), tmp_path)


def test_a_network_without_products_is_written_canonically(tmp_path):
    for dialect in ("canonical", "extended"):
        (tmp_path / dialect).mkdir()
        exporter.write(convolutional(), tmp_path / dialect, dialect=dialect)
    assert (tmp_path / "canonical/network.nir").read_bytes() == (tmp_path / "extended/network.nir").read_bytes()


def test_the_last_axes_may_become_one_in_the_canonical_dialect(tmp_path):
    graph = convolutional(middle=[Reshape("tokens", (4, 36))])
    exporter.write(graph, tmp_path, dialect="canonical")
    assert read(tmp_path / "network.nir") == graph
    nir.read(tmp_path / "network.nir")


def test_other_readers_refuse_it(tmp_path):
    exporter.write(transformer_block(), tmp_path)
    for type_check in (True, False):
        with pytest.raises(AssertionError):
            nir.read(tmp_path / "network.nir", type_check=type_check)


def damage(path, edit):
    with h5py.File(path, "r+") as file:
        edit(file["node/nodes"], file["node"])


def replace_text(group, key, value):
    del group[key]
    group[key] = np.bytes_(value)


def other_equation(nodes, _file):
    replace_text(nodes["kv.t00"], "equation", "hdm,hem->hed")


def swapped_operands(nodes, _file):
    replace_text(nodes["kv.t01"], "left", "v_heads.t01")
    replace_text(nodes["kv.t01"], "right", "k_heads.t01")


def operand_from_elsewhere(nodes, _file):
    replace_text(nodes["kv.t01"], "left", "k_heads.t00")


def no_equation(nodes, _file):
    del nodes["kv.t00"]["equation"]


def unknown_type(nodes, _file):
    replace_text(nodes["kv.t00"], "type", "asnn_deploy.Quotient")


def other_shape(nodes, _file):
    del nodes["k_heads.t00"]["shape"]
    nodes["k_heads.t00"]["shape"] = np.array([4, 1, 36])


def number_for_a_name(nodes, _file):
    del nodes["kv.t00"]["left"]
    nodes["kv.t00"]["left"] = 3


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (other_equation, "node 'kv.t00' was changed after the file was written"),
        (swapped_operands, "node 'kv.t01' was changed after the file was written"),
        (operand_from_elsewhere, "node 'kv.t01' was changed after the file was written"),
        (no_equation, r"node 'kv.t00' \(asnn_deploy.Product\) lacks 'equation'"),
        (unknown_type, "cannot be read as a NIR file"),
        (other_shape, "node 'k_heads.t00' was changed after the file was written"),
        (number_for_a_name, "node 'kv.t00' was changed"),
    ],
)
def test_damaged_extensions_are_refused_in_one_line(edit, text, tmp_path):
    path = tmp_path / exporter.write(transformer_block(), tmp_path)[0]
    damage(path, edit)
    assert re.search(text, refused(path))


@pytest.mark.parametrize("edit", [operand_from_elsewhere, no_equation, unknown_type])
def test_the_target_refuses_them_too(edit, tmp_path):
    graph = transformer_block()
    path = tmp_path / exporter.write(graph, tmp_path)[0]
    damage(path, edit)
    with (
        Deployment(graph, files={"nir": path}) as deployment,
        pytest.raises(BundleError, match="cannot be read as a NIR file"),
    ):
        target.open(deployment, 4)
