"""SCASeg: strip cross-attention for efficient semantic segmentation. Importing this imports nothing heavy."""

__version__ = "0.1.0"
