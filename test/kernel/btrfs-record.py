"""Records on this machine's kernel what histories of a btrfs come to: argv: a file of histories, one a line (test/data/btrfs/logs.ndjson), which gets their answers.
Needs root; each history has an image, mounts and a folder of its own, and leaves none of them behind."""
import json, os, subprocess, sys, tempfile

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "btrfs-history.py")
SCRIPT = """cd "$1" && truncate -s "$2"M image && mkfs.btrfs -q image >/dev/null 2>&1 && mkdir m && mount -o "$3" image m && python3 "$4" history m
umount m 2>/dev/null; true"""

def ask(history):
    with tempfile.TemporaryDirectory(prefix="cowlab-btrfs-") as folder:
        with open(os.path.join(folder, "history"), "w") as file: json.dump(history, file)
        options = ",".join(["loop", "commit=600", *filter(None, [history.get("options")])])
        command = ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", folder, str(history["size"]), options, PROGRAM]
        asked = subprocess.run(command, capture_output=True, text=True)
        if not asked.stdout: sys.exit(f"{history['name']}: {asked.stderr}")
        return json.loads(asked.stdout)

def short(answer):
    """Without what nobody asked for."""
    return {key: value for key, value in answer.items() if key in ("r", "w") and value != []}

path = sys.argv[1]
with open(path) as file: histories = [json.loads(line) for line in file if line.strip()]
with open(path, "w") as file:
    for history in histories:
        answers = [short(answer) for answer in ask({key: value for key, value in history.items() if key != "answers"})]
        file.write(json.dumps({**history, "answers": answers}, separators=(",", ":")) + "\n")
