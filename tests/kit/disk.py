"""What a program tells the disk, call by call, to see in which order: what was synced, what was moved where."""

import os
from pathlib import Path


class DiskCalls:
    """Records calls from when it is made, while `monkeypatch` lasts: ("sync", path) and ("move", from, to)."""

    def __init__(self, monkeypatch):
        self.calls = []
        fsync, rename, replace = os.fsync, os.rename, os.replace

        def synced(descriptor):
            fsync(descriptor)
            self.calls.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))

        def moved(real):
            def move(source, target, **more):
                real(source, target, **more)
                self.calls.append(("move", str(source), str(target)))

            return move

        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(os, "rename", moved(rename))
        monkeypatch.setattr(os, "replace", moved(replace))

    def moves_to(self, target):
        """The places among the calls at which something got this name."""
        return [at for at, call in enumerate(self.calls) if call[0] == "move" and call[2] == str(target)]

    def synced(self, path, first=0, last=None):
        """Whether the path, under this name, was synced between two places among the calls."""
        return ("sync", str(path)) in self.calls[first:last]

    def require_whole(self, folder, files, summary, written=None):
        """Raises AssertionError unless each of the `files` of `folder` was on the disk, content and names, before the
        summary had its name, and then that was too. `written`: the folder below which they were written, if another."""
        (named,) = self.moves_to(Path(folder) / summary)
        (source,) = {call[1] for call in self.calls[named : named + 1]}
        assert self.synced(source, last=named), "the summary had its name before its content"
        for file in files:
            place = Path(written or folder) / file
            assert self.synced(place, last=named), f"{file}: its content may come after the summary"
            assert self.synced(place.parent, last=named), f"{file}: its name may come after the summary"
            if written is not None:
                moved = self.moves_to(Path(folder) / Path(file).parts[0])[-1]
                assert moved < named
                assert self.synced(folder, moved, named), f"{file}: its folder's name may come after the summary"
        assert self.synced(folder, named), "the summary's name may be lost"
