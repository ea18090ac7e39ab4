import sys

from experiments.gpu.run import main
from tests.gpu.fakes import parts

if __name__ == "__main__":
    sys.exit(main(["--rehearse", *sys.argv[1:]], parts("quick", "slow", "last")))
