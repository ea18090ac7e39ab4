"""SCASeg in a training loop of one's own: plain PyTorch, on scenes that are drawn on the fly; half a minute of a core.

python experiments/tour/plain_torch.py [STEPS]
"""

import sys

import torch
import torch.nn.functional as F

import scaseg
from scaseg.data.shapes import Shapes

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 100
scenes = Shapes(split="train", size=(64, 96))
torch.manual_seed(0)
model = scaseg.create_model("scaseg", "mit_b0", num_classes=len(Shapes.labels.names), embed_channels=64)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

for step in range(steps):
    pairs = [scenes.read((4 * step + i) % len(scenes)) for i in range(4)]  # RGB (H, W, 3) and ids (H, W), both uint8
    images = torch.stack([torch.from_numpy(image).permute(2, 0, 1) for image, _ in pairs])  # 0..255: it normalises
    labels = torch.stack([torch.from_numpy(mask).long() for _, mask in pairs])
    logits = F.interpolate(model(images), size=labels.shape[1:], mode="bilinear")
    loss = F.cross_entropy(logits, labels, ignore_index=255)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 10 == 0 or step == steps - 1:
        print(f"step {step}: loss {loss.item():.3f}", flush=True)

image, mask = Shapes(split="val", size=(64, 96)).read(0)
found = model.eval().predict(torch.from_numpy(image).permute(2, 0, 1)[None])[0]  # ids (H, W)
print(f"a scene it has not seen: {(found == torch.from_numpy(mask)).float().mean():.0%} of the pixels right")
