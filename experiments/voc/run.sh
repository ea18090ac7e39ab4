#!/usr/bin/env bash
# Train on VOC, be killed in the middle, go on. DATA is VOCdevkit/VOC2012; two CPU cores take some minutes.
#   DATA=... bash experiments/voc/run.sh
set -u
python=${PYTHON:-python}
command="$python -m scaseg.train backbone=mscan_t dataset=voc data_dir=$DATA augment.crop_size=[256,256]
  augment.resize_box=[512,256] protocol.box=[512,256] training.batch_size=2 training.max_steps=200
  training.warmup_steps=30 training.lr=3e-4 training.decoder_lr_mult=1 training.grad_clip=1 training.val_every=200
  training.checkpoint_every=50 training.log_every=25 hardware.threads=${THREADS:-2} output_dir=${OUT:-runs/voc}"
$command &
pid=$!
# the 5th row of metrics.csv is step 125
until [ "$(cat ${OUT:-runs/voc}/*/metrics.csv 2>/dev/null | wc -l)" -ge 6 ]; do sleep 1; done
kill -9 $pid
wait $pid 2>/dev/null
echo "killed with signal 9 after step $(tail -n 1 ${OUT:-runs/voc}/*/metrics.csv | cut -d, -f1); the same command again:"
$command
