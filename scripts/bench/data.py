"""What pushing, fetching and comparing versions of datasets takes. Called by scripts/bench-data.sh:
data.py PROGRAM FOLDER SIZE_MB FILES [OUT]"""

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time
import urllib.request

program, folder, size_mb, files, out = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
rows: list[tuple[str, str]] = []


def tell(what: str, figure: str) -> None:
    rows.append((what, figure))
    print(f"{what:<62} {figure:>24}", flush=True)


def run(*arguments: str) -> tuple[float, str]:
    started = time.perf_counter()
    done = subprocess.run([program, "data", *arguments], check=False, capture_output=True, text=True)
    took = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"slipway data {' '.join(arguments)}: {done.stderr}")
    return took, done.stdout


def stored() -> int:
    """Bytes below the store's folder of packs."""
    return sum(file.stat().st_size for file in (folder / "data").rglob("*") if file.is_file() and "packs" in file.parts)


def ask(path: str) -> tuple[float, dict]:
    request = urllib.request.Request(
        os.environ["SLIPWAY_URL"] + path, headers={"Authorization": "Bearer " + os.environ["SLIPWAY_TOKEN"]}
    )
    started = time.perf_counter()
    with urllib.request.urlopen(request, timeout=600) as answer:
        body = json.load(answer)
    return time.perf_counter() - started, body


def settle() -> None:
    """What was just written may change again within two seconds and look the same: it would be read again."""
    time.sleep(2.1)


def large() -> None:
    where = folder / "large"
    where.mkdir()
    file = where / "large.bin"
    chance = random.Random(1)
    with file.open("wb") as written:
        for _ in range(size_mb):
            written.write(chance.randbytes(1 << 20))
    size = f"{size_mb / 1024:g} GiB"
    settle()
    before = stored()
    took, _ = run("push", "large", str(where))
    tell(f"{size}: first push", f"{took:.2f} s, {size_mb / took:.0f} MiB/s")
    tell(f"{size}: stored by it", f"{(stored() - before) / 2**20:.2f} MiB")
    took, _ = run("push", "large", str(where))
    tell(f"{size}: push of the same", f"{took:.2f} s")
    with file.open("r+b") as written:
        written.seek(size_mb * 2**19)
        byte = written.read(1)
        written.seek(size_mb * 2**19)
        written.write(bytes([byte[0] ^ 1]))
    settle()
    before = stored()
    took, _ = run("push", "large", str(where))
    tell(f"{size}: push with one byte changed", f"{took:.2f} s")
    tell(f"{size}: stored by it", f"{(stored() - before) / 2**20:.3f} MiB")
    fetched = folder / "large-again"
    took, _ = run("get", "large@2", str(fetched))
    tell(f"{size}: fetch, checked", f"{took:.2f} s, {size_mb / took:.0f} MiB/s")
    subprocess.run(["cmp", str(file), str(fetched / "large.bin")], check=True)
    shutil.rmtree(where)
    shutil.rmtree(fetched)


def small() -> None:
    where = folder / "small"
    chance = random.Random(2)
    paths = []
    for number in range(files):
        path = where / f"{number % 100:02}" / f"{number:07}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(1024))
        paths.append(path)
    count = f"{files:,} files"
    settle()
    took, _ = run("push", "small", str(where))
    tell(f"{count} of 1 KiB: first push", f"{took:.2f} s, {files / took:,.0f} files/s")
    took, _ = run("push", "small", str(where))
    tell(f"{count}: push of the same", f"{took:.2f} s")
    for path in paths[:: files // 100]:
        path.write_bytes(chance.randbytes(1024))
    (where / "new.txt").write_text("new")
    paths[1].unlink()
    settle()
    took, _ = run("push", "small", str(where))
    tell(f"{count}: push with about 100 changed", f"{took:.2f} s")
    took, _ = run("diff", "small@1", "small@2")
    tell(f"{count}: slipway data diff, 100 changed", f"{took:.2f} s")
    took, diff = ask("/api/v1/datasets/small/versions/2/diff?from=1&limit=1000")
    changed = (diff["added"], diff["removed"], diff["changed"])
    tell(f"{count}: the server's part of it, {changed}", f"{took * 1000:.0f} ms")
    paths[2].write_text("one")
    settle()
    run("push", "small", str(where))
    took, _ = ask("/api/v1/datasets/small/versions/3/diff?from=2&limit=1000")
    tell(f"{count}: the server's diff, one changed", f"{took * 1000:.0f} ms")
    fetched = folder / "small-again"
    took, _ = run("get", "small@3", str(fetched))
    tell(f"{count}: fetch, checked", f"{took:.2f} s, {files / took:,.0f} files/s")
    subprocess.run(["diff", "-r", str(where), str(fetched)], check=True)


large()
small()
if out:
    table = ["| what | figure |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows)]
    pathlib.Path(out).write_text("\n".join(table) + "\n", encoding="utf-8")
