"""Ids and figures beside each benchmark's own evaluation: Cityscapes' program, and the others' rules read anew."""

import sys

import numpy as np
import pytest
from PIL import Image

from scaseg.data.ade20k import ADE20K
from scaseg.data.camvid import CamVid
from scaseg.data.cityscapes import EVALUATED, Cityscapes
from scaseg.data.coco_stuff164k import COCOStuff164k
from scaseg.data.voc import VOC
from scaseg.evaluation.counter import ConfusionMatrix
from scaseg.evaluation.metrics import scores, table
from scaseg.evaluation.protocol import MeanOver
from scaseg.evaluation.submission import SubmissionWriter
from tests.data.layouts import write


def guesses(source, seed=0):
    """Predictions that are right for the most part: the truth with a third of its rows moved, ignored ones filled."""
    rng = np.random.default_rng(seed)
    classes = source.labels.num_classes
    for i in range(len(source)):
        labels = source.truth(i).copy()
        rows = rng.random(labels.shape[0]) < 0.33
        labels[rows] = np.roll(labels[rows], 5, axis=1)
        noise = rng.integers(0, classes, labels.shape, np.uint8)
        labels[labels == 255] = noise[labels == 255]
        changed = rng.random(labels.shape) < 0.05
        labels[changed] = noise[changed]
        yield source.name(i), labels


def exported(source, folder):
    """The confusion matrix of an export's files, and the files."""
    export = SubmissionWriter(folder, source)
    export.start()
    for name, labels in guesses(source):
        export.write(name, labels)
    return export.finish(), folder / "predictions"


@pytest.mark.parametrize("there", ["all classes", "some absent", "predicted and absent"])
def test_cityscapes_program_gives_the_same_figures(tmp_path, there, monkeypatch):
    pytest.importorskip("cityscapesscripts")
    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling

    root = write("cityscapes", tmp_path / "data", count=4, size=(64, 128))
    if there != "all classes":  # neither train nor bus: in no truth
        for path in (root / "gtFine/val").rglob("*_labelIds.png"):
            ids = np.asarray(Image.open(path)).copy()
            ids[np.isin(ids, (28, 31))] = 7
            Image.fromarray(ids).save(path)
    source = Cityscapes(root, "val")
    if there == "some absent":  # and in no prediction
        monkeypatch.setattr(sys.modules[__name__], "guesses", without(guesses, (15, 16)))
    matrix, tree = exported(source, tmp_path / "out")
    ours = scores(matrix, MeanOver.union)

    truth = sorted(str(path) for path in (root / "gtFine/val").rglob("*_gtFine_labelIds.png"))
    arguments = evalPixelLevelSemanticLabeling.args
    monkeypatch.setattr(arguments, "predictionPath", str(tree))
    monkeypatch.setattr(arguments, "predictionWalk", None)
    monkeypatch.setattr(arguments, "evalInstLevelScore", False)
    monkeypatch.setattr(arguments, "JSONOutput", False)
    monkeypatch.setattr(arguments, "quiet", True)
    # found by its own rule of names
    found = [evalPixelLevelSemanticLabeling.getPrediction(arguments, path) for path in truth]
    result = evalPixelLevelSemanticLabeling.evaluateImgLists(found, truth, arguments)
    assert matrix.tolist() == np.array(result["confMatrix"])[np.ix_(EVALUATED, EVALUATED)].tolist()
    theirs = result["classScores"]
    for i, name in enumerate(source.labels.names):
        if i in ours.absent:
            assert np.isnan(theirs[name])
        else:
            assert ours.iou[i] == pytest.approx(100 * theirs[name], rel=2**-52)  # the last bit: 100 is multiplied late
    assert len(ours.absent) == (2 if there == "some absent" else 0)
    assert ours.mean_iou == pytest.approx(100 * result["averageScoreClasses"], rel=1e-15)


def without(draw, absent):
    def drawn(source):
        for name, labels in draw(source):
            labels[np.isin(labels, absent)] = 0
            yield name, labels

    return drawn


def test_cityscapes_table_is_that_of_its_scripts():
    pytest.importorskip("cityscapesscripts")
    from cityscapesscripts.helpers.labels import labels

    official = {label.id: label.trainId for label in labels if label.id >= 0}
    assert Cityscapes.labels.raw_ids == official
    named = {label.trainId: label for label in labels if 0 <= label.trainId < 255}
    assert [named[i].name for i in range(19)] == list(Cityscapes.labels.names)
    assert [named[i].color for i in range(19)] == list(Cityscapes.labels.colours)


def pngs(tree, truth, name):
    (path,) = tree.rglob(f"{name}.png")
    return np.asarray(Image.open(path)).astype(np.int64), np.asarray(Image.open(truth)).astype(np.int64)


def ade(pairs):
    """CSAILVision/sceneparsing, evaluationCode/utils_eval: pixels of label 0 are dropped, classes are 1..150."""
    intersection, union = np.zeros(150), np.zeros(150)
    for predicted, truth in pairs:
        predicted = predicted * (truth > 0)
        overlap = predicted * (predicted == truth)
        per_overlap, per_predicted, per_truth = (
            np.histogram(array, bins=150, range=(1, 150))[0] for array in (overlap, predicted, truth)
        )
        intersection += per_overlap
        union += per_predicted + per_truth - per_overlap
    return intersection / union


def voc(pairs):
    """VOCdevkit, VOCevalseg.m: rows the truth, pixels of 255 dropped; intersection over union of each class."""
    counts = np.zeros((21, 21))
    for predicted, truth in pairs:
        keep = truth < 255
        sums = 1 + truth + predicted * 21
        counts += np.histogram(sums[keep], np.arange(1, 21 * 21 + 2))[0].reshape(21, 21).T
    return np.array([counts[j, j] / (counts[j].sum() + counts[:, j].sum() - counts[j, j]) for j in range(21)])


def coco(pairs):
    """nightrome/cocostuff: confusion over the labels in use, unlabelled pixels dropped."""
    used = [raw for raw in range(182) if raw not in {11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90}]
    hits, truths, guessed = (dict.fromkeys(used, 0) for _ in range(3))
    for predicted, truth in pairs:
        for raw in used:
            labelled = truth != 255
            hits[raw] += int(((predicted == raw) & (truth == raw)).sum())
            truths[raw] += int((truth == raw).sum())
            guessed[raw] += int(((predicted == raw) & labelled).sum())
    return np.array([hits[r] / max(1, truths[r] + guessed[r] - hits[r]) for r in used])


def camvid(pairs):
    """SegNet-Tutorial, test_segmentation_camvid.py's classes: 11 is unlabelled and dropped."""
    true, guess = (np.concatenate([pair[k].ravel() for pair in pairs]) for k in (1, 0))
    guess, true = guess[true != 11], true[true != 11]
    return np.array([((true == k) & (guess == k)).sum() / ((true == k) | (guess == k)).sum() for k in range(11)])


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize(
    ("kind", "folder", "rule"),
    [
        (ADE20K, "ADEChallengeData2016", ade),
        (VOC, "VOCdevkit/VOC2012", voc),
        (COCOStuff164k, "coco_stuff164k", coco),
        (CamVid, "CamVid", camvid),
    ],
)
def test_official_rules_read_from_the_files_that_are_handed_in(shared, tmp_path, kind, folder, rule):
    source = kind(shared / "data" / folder, "val")
    source.pairs = source.pairs[:12]
    matrix, tree = exported(source, tmp_path / "out")
    ours = scores(matrix)
    theirs = rule([pngs(tree, pair.mask, pair.name) for pair in source.pairs])
    present = [i for i in range(source.labels.num_classes) if i not in ours.absent]
    assert len(present) > 9
    assert np.array(ours.iou)[present] == pytest.approx(100 * theirs[present], rel=1e-14)
    assert ours.mean_iou == pytest.approx(100 * theirs[present].mean(), rel=1e-14)


def test_only_classes_of_the_truth_are_averaged():
    """Where the rules of the benchmarks part: a class that the truth lacks and a prediction has."""
    import torch

    matrix = torch.tensor([[5, 0, 1], [0, 0, 0], [0, 1, 3]])
    assert scores(matrix).absent == [1]
    assert scores(matrix).mean_iou == pytest.approx(100 * (5 / 6 + 3 / 5) / 2)
    union = scores(matrix, MeanOver.union)
    assert (union.absent, union.mean_iou) == ([], pytest.approx(100 * (5 / 6 + 0 + 3 / 5) / 3))
    assert union.mean_accuracy == scores(matrix).mean_accuracy


def test_nothing_to_score_is_no_figure_and_one_class_is_one():
    import torch

    for over in MeanOver:
        nothing = scores(torch.tensor([[0, 0], [0, 0]]), over)
        assert np.isnan([nothing.mean_iou, nothing.mean_accuracy, nothing.pixel_accuracy]).all()
        assert nothing.absent == [0, 1]
        assert "mean" in table(nothing, ["a", "b"])
        one = ConfusionMatrix(1)
        one.update(torch.zeros(4, dtype=torch.uint8), torch.tensor([0, 0, 255, 0], dtype=torch.uint8))
        assert scores(one.counts(), over).mean_iou == 100
