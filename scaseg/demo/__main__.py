"""python -m scaseg.demo: a web page on this machine where one drops an image and sees its masks."""

from scaseg.commands import command
from scaseg.demo.options import DemoConfig


@command("demo", DemoConfig)
def main(cfg: DemoConfig) -> None:
    """Parse, check, and call scaseg.demo.serve.serve."""
    from scaseg.demo.serve import serve

    serve(cfg)


if __name__ == "__main__":
    main()
