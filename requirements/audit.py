"""Ask the advisory service about every locked package: `make audit`.

Exit code 0 when none has a known weakness, and when the service can't be reached, which is said; 1 when one has.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent
UNREACHABLE = ("ConnectionError", "NewConnectionError", "Max retries", "Timeout", "Name or service", "ServiceError",
               "HTTPError", "Connection refused", "503", "404")  # fmt: skip


def main() -> int:
    """Audit each locked set."""
    worst = 0
    for path in sorted(ROOT.glob("*.txt")):
        done = subprocess.run(  # noqa: S603 - our own program and file
            [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--progress-spinner=off",
             "--timeout=10", "--requirement", str(path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        found = done.stdout.strip()
        if done.returncode == 0:
            print(f"{path.name}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'nothing known'}")
        elif found:
            print(f"{path.name}:\n{found}")
            worst = 1
        elif any(word in done.stderr for word in UNREACHABLE):
            print(f"{path.name}: not audited, as the advisory service can't be reached; run it where it can")
        else:
            print(f"{path.name}: pip-audit failed:\n{done.stderr.strip()}")
            worst = 1
    return worst


if __name__ == "__main__":
    sys.exit(main())
