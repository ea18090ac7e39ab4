import logging
import warnings

# Raised inside Lightning 2.6 by torch 2.13.
warnings.filterwarnings("ignore", message=r".*treespec, LeafSpec.*", category=FutureWarning)
# Under DDP, of 1x1 convolutions' weights: a matter of a copy.
warnings.filterwarnings("ignore", message=r"Grad strides do not match bucket view strides", category=UserWarning)

import scaseg.torchvision_fix  # noqa: E402, F401

import lightning.pytorch  # noqa: E402, F401

# Lightning's notices of what it found and did are no news to the user of this program; its warnings are.
for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
    logging.getLogger(name).setLevel(logging.WARNING)
logging.getLogger("scaseg").setLevel(logging.INFO)  # log.txt has what the run says, whoever starts it
