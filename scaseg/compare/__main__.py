"""python -m scaseg.compare: two or more checkpoints on one split, image by image."""

from scaseg.commands import command
from scaseg.compare.options import CompareConfig


@command("compare", CompareConfig)
def main(cfg: CompareConfig) -> None:
    """Print the tables and where the page is."""
    from scaseg.compare.page import text
    from scaseg.compare.run import compare

    result = compare(cfg)
    print(text(result))
    print(f"page: {result['folder']}/index.html")


if __name__ == "__main__":
    main()
