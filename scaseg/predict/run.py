"""One call of python -m scaseg.predict, from its options to what it prints."""

import time
from pathlib import Path

from scaseg.config import merge_protocol
from scaseg.errors import UserError
from scaseg.exported.model import open_model
from scaseg.identity import without_later
from scaseg.predict.batches import Outcome, predict_all
from scaseg.predict.large import Cut
from scaseg.predict.options import PredictConfig
from scaseg.predict.outputs import Outputs
from scaseg.predict.pseudo_labels import as_training_data, write_classes
from scaseg.trained.inputs import Found
from scaseg.trained.record import KINDS, RECORD
from scaseg.typed import Json, to_plain

NAMED = 20  # failures repeated at the end


def predict(options: PredictConfig, found: Found) -> Outcome:
    """Predict what was found into `options.output`; prints what was done."""
    model = open_model(options.ckpt, options.hardware, options.runtime)
    model.protocol = merge_protocol(model.protocol, options.protocol)
    model.confidence = options.confidence
    if options.confidence is not None and model.untold:
        raise UserError(f"confidence={options.confidence}: {options.ckpt}: {model.untold}")
    model.decide_from(options.threshold)
    kinds = KINDS if options.write == "both" else (options.write,)
    protocol = without_later(to_plain(model.protocol), "protocol.")
    of: Json = {"model": model.digest(), "protocol": protocol, "classes": list(model.classes)}
    if model.thresholds:
        of["thresholds"] = list(model.thresholds)
    cut = Cut(options.max_pixels, options.window, options.overlap)
    if cut.asked:
        of["windows"] = cut.asked
    if options.confidence is not None:
        of["confidence"] = options.confidence
    outputs = Outputs(Path(options.output), kinds, model.labels, of, model.form)
    outputs.begin(found.inputs, options.overwrite)
    if options.confidence is not None:
        write_classes(outputs.folder, model.labels)
    start = time.perf_counter()
    outcome = predict_all(model, found.inputs, outputs, options.batch_size, options.overwrite, cut)
    seconds = time.perf_counter() - start
    failed = [{"file": file, "reason": reason} for file, reason in outcome.failed]
    counts = {"done": len(outcome.done), "kept": len(outcome.kept), "failed": len(failed)}
    counts |= {"other_files": found.others, "own_results": found.results}
    outputs.finish({"status": "done", "checkpoint": options.ckpt, "counts": counts, "failed": failed})

    print(f"{len(outcome.done)} predicted in {seconds:.1f} s", end="")
    print(f", {len(outcome.kept)} kept from before (overwrite=true makes them again)" if outcome.kept else "", end="")
    print(f", {found.others} files that are no images by name left out" if found.others else "", end="")
    print(f", {found.results} results of scaseg passed over" if found.results else "")
    if failed:
        print(f"{len(failed)} failed:")
        for file, reason in outcome.failed[:NAMED]:
            print(f"  {_shown(file)}: {_shown(reason)}")
        if len(failed) > NAMED:
            print(f"  and {len(failed) - NAMED} more: see {outputs.folder / RECORD}")
    print(f"output:  {outputs.folder}")
    if options.confidence is not None:
        for line in as_training_data(outputs, found.inputs, options.confidence):
            print(line)
    return outcome


def _shown(text: str) -> str:
    """What a terminal takes of a name that is not UTF-8."""
    return text.encode(errors="surrogateescape").decode(errors="replace")
