import numpy as np
import pytest

PAIRS = np.int32([[0, 1], [1, 0], [2, 3], [3, 2], [0, 0], [1, 1], [2, 2], [3, 3]])
X = np.sin(np.arange(16, dtype=np.float32)).reshape(4, 4)
TARGETS = np.cos(X)
LABELS = np.int32([0, 0, 1, 1])


@pytest.fixture
def train(client):
    """Start a run; return its handle, or the error."""
    attn, _ = client.keep("create", "multi_head", {"dim": 4, "numHeads": 2})

    def train(options, *, labels=None, targets=None, refused=False, **arrays):
        graph = {"edges": client.put(PAIRS), "numNodes": 4}
        given = [None if x is None else client.put(x) for x in (labels, targets)]
        arrays = {name: client.put(x) for name, x in arrays.items()}
        call = [
            "train",
            attn,
            graph,
            client.put(X),
            *given,
            None,
            options,
            arrays.get("validationNodes"),
            arrays.get("resume"),
        ]
        return client.error(*call, keep=5) if refused else client.keep(*call)[0]

    return train


def finished(client, run):
    """Run all steps; return their progress and the result."""
    seen = []
    while (progress := client.ok("train_steps", run)) is not None:
        seen.append(progress)
    client.last_id += 1
    return seen, client.ok("train_result", run, keep=client.last_id)


def squared(client):
    """Return the mean squared error and its gradient, as a JavaScript caller would write them."""

    def loss(output, nodes):
        wanted = TARGETS if nodes is None else TARGETS[nodes]
        seen = output if nodes is None else output[nodes]
        gradient = np.zeros_like(output)
        gradient[slice(None) if nodes is None else nodes] = 2 * (seen - wanted) / seen.size
        return {"loss": float(np.mean((seen - wanted) ** 2)), "gradient": client.put(gradient)}

    return client.function(loss)


def test_a_loss_of_the_caller_trains_as_ours(client, train):
    options = {"epochs": 5, "lr": 0.05}
    _, ours = finished(client, train(options, targets=TARGETS))
    _, theirs = finished(client, train({**options, "loss": squared(client)}))
    assert len(theirs["losses"]) == 5
    np.testing.assert_allclose(theirs["losses"], ours["losses"], rtol=1e-5)


@pytest.mark.parametrize(("metric", "mode"), [("accuracy", max), ("loss", min)])
def test_nodes_held_out_choose_the_best_epoch(client, train, metric, mode):
    held = np.int32([1, 3])
    options = {"epochs": 6, "lr": 0.05, "metric": metric, "validateEvery": 1}
    _, result = finished(client, train(options, labels=LABELS, validationNodes=held))
    values = [value for _, value in result["metrics"]]
    assert len(values) == 6
    assert result["best"] == mode(values)
    if metric == "accuracy":
        assert set(values) <= {0.0, 0.5, 1.0}
    else:
        assert values[-1] < values[0]


def test_a_run_goes_on_from_a_checkpoint(client, train):
    options = {"epochs": 6, "lr": 0.05, "seed": 3}
    _, whole = finished(client, train(options, labels=LABELS))
    run = train({**options, "epochs": 3, "checkpoints": True}, labels=LABELS)
    seen, half = finished(client, run)
    assert half["losses"] == whole["losses"][:3]
    kept = next(progress["checkpoint"] for progress in reversed(seen) if "checkpoint" in progress)
    _, resumed = finished(client, train(options, labels=LABELS, resume=kept))
    assert resumed["losses"] == whole["losses"]


def test_a_run_that_is_cancelled_keeps_what_it_learned(client, train):
    run = train({"epochs": 100000}, labels=LABELS)
    client.ok("train_steps", run)
    client.ok("train_cancel", run)
    _, result = finished(client, run)
    assert result["reason"] == "cancelled"
    assert result["attention"]["key"] == "multi_head"


def test_an_optimizer_has_its_rate(client, train):
    optimizer, _ = client.keep("function", "training", "Adam", [], {"lr": 0.05})
    _, own = finished(client, train({"epochs": 3, "optimizer": optimizer}, labels=LABELS))
    _, named = finished(client, train({"epochs": 3, "optimizer": "Adam", "lr": 0.05}, labels=LABELS))
    assert own["losses"] == named["losses"]
    assert train({"optimizer": optimizer, "lr": 0.1}, labels=LABELS, refused=True)["argument"] == "lr"


def test_metrics_that_do_not_fit(client, train):
    held = np.int32([0])
    for options, data in (
        ({"metric": "accuracy"}, {"targets": TARGETS}),
        ({"metric": "loss", "loss": squared(client)}, {}),
        ({"metric": "speed"}, {"labels": LABELS}),
    ):
        assert train(options, **data, validationNodes=held, refused=True)["argument"] == "metric"


def test_what_a_loss_of_the_caller_may_give(client, train):
    wrong = {
        "loss": [3.0, {"loss": 1.0}, {"loss": "much", "gradient": [0.0]}],
        "gradient": [{"loss": 1.0, "gradient": [0.0, 1.0]}],
    }
    for argument, answers in wrong.items():
        for answer in answers:
            run = train({"loss": client.function(lambda *_, answer=answer: answer)})
            error = client.error("train_steps", run)
            assert (error["argument"], error["code"] != "internal_error") == (argument, True), answer


def test_the_trained_mechanism_is_ours(client, train):
    run = train({"epochs": 2}, labels=LABELS)
    finished(client, run)
    handle = {"$h": client.last_id}
    out = client.ok("method", handle, "attend", [{"edges": client.put(PAIRS), "numNodes": 4}, client.put(X)], None)
    assert out.shape == (4, 4)


@pytest.mark.parametrize("resume", [np.zeros(4, np.float32), np.frombuffer(b"no checkpoint", np.uint8)])
def test_a_checkpoint_that_is_none(train, resume):
    error = train({}, labels=LABELS, resume=resume, refused=True)
    assert error["argument"] == "resume"
    assert "resume: " in error["message"]
    assert "tmp" not in error["message"]
