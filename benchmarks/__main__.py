"""Run the bench: ``python -m benchmarks`` in the checkout's root."""

import argparse
from pathlib import Path

from halfgen_lib.training import choose_device

from .bench import bench
from .plan import plan_for


def main() -> None:
    """Measure, and print where the values were written."""
    parser = argparse.ArgumentParser(prog="halfgen bench")
    parser.add_argument("--json", metavar="FILE", help="write here; else to report/results")
    parser.add_argument("--quick", action="store_true", help="try every part out on the sample")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    path = Path(arguments.json) if arguments.json else None
    print(bench(path, plan_for(device, arguments.quick), device))


if __name__ == "__main__":  # and not where a child process of the bench imports it
    main()
