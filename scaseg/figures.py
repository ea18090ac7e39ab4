"""python -m scaseg.figures: the paper's figures of trained models on images of their dataset."""

from scaseg.commands import command
from scaseg.compare.options import FiguresConfig


@command("figures", FiguresConfig)
def main(cfg: FiguresConfig) -> None:
    """Draw, and print the picture's path."""
    from scaseg.compare.figures import figure

    print(figure(cfg))


if __name__ == "__main__":
    main()
