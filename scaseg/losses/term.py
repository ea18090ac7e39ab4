"""What a term of the loss is: an nn.Module of one file here, and one YAML in conf/loss."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Term(nn.Module, ABC):
    """A loss over the labelled pixels of a batch. Its arguments are what its YAML has, but for `weight`."""

    @abstractmethod
    def weighed(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and count, scalars, of logits (B, K, H, W), float32, and target (B, H, W), int64.

        count: of what the loss is a mean over, by which the parts of one batch are weighed. Pixels with the ignored
        label take no part; a batch without a label costs 0 and has finite gradients.
        """

    def banded(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor] | None:
        """The same of logits (B, K, h, w) that are still to be resized, where it can do without resized ones."""
        return None
