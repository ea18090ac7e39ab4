#!/usr/bin/env bash
# Every ratio of README.md that needs no data, as Markdown: experiments/speed/run.sh THREADS > table.md
# On a machine without other work: a quarter of an hour a call.
set -euo pipefail
threads=$1
bench() {
    echo
    echo "\`python -m scaseg.benchmark $* hardware.threads=$threads\`"
    python -m scaseg.benchmark "$@" "hardware.threads=$threads" 2>/dev/null | grep '^|\|^$\|^20'
}
bench suite=strip dataset=ade20k rounds=9
bench suite=decoder backbone=mit_b0 dataset=ade20k rounds=7
bench suite=decoder backbone=mscan_t dataset=cityscapes decoder.query_pool=1 rounds=3
bench suite=model backbone=mit_b0 dataset=ade20k rounds=9
bench suite=model backbone=mscan_t dataset=ade20k rounds=9
bench suite=train backbone=mit_b0 dataset=ade20k rounds=7
for backbone in mit_b0 mscan_t; do
    bench suite=profile backbone=$backbone dataset=ade20k rounds=5
    bench suite=profile backbone=$backbone dataset=cityscapes 'image_size=[1024,2048]' rounds=3
    bench suite=profile backbone=$backbone dataset=ade20k 'image_size=[256,256]' batch_size=2 backward=true rounds=5
done
