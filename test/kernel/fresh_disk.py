"""A fresh filesystem in a file on a loop device. Root and Linux only."""
import contextlib
import os
import subprocess
import tempfile


@contextlib.contextmanager
def mounted(size, *make, prepare=lambda image: None, below=None):
    """The folder where it is mounted, until the block of `with` ends. size: the disk's bytes; make: the command that makes the filesystem of its
    last word, the image, which is added; prepare: is called with the image before it is mounted; below: the folder for the file, else that for temporary
    ones."""
    with tempfile.TemporaryDirectory(prefix="cowlab-disk-", dir=below) as base:
        image, top = os.path.join(base, "image"), os.path.join(base, "top")
        os.mkdir(top)
        with open(image, "wb") as file:
            file.truncate(size)
        subprocess.run([*make, image], check=True, stdout=subprocess.DEVNULL)
        prepare(image)
        subprocess.run(["mount", "-o", "loop", image, top], check=True)
        try:
            yield top
        finally:
            subprocess.run(["umount", top], check=True)
