"""The Hugging Face Hub, as a place for what `hourglass push` writes: `hf:USER/REPO`, or `hf:USER/REPO@REVISION`.

Its own client does the work, with the log-in of `hf auth login` or HF_TOKEN, at HF_ENDPOINT where that is set. Only the
files that `push` writes are fetched, into the data folder; none of them is executed.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hourglass.system.cache import cache_dir
from hourglass.system.errors import HourglassError, reason
from hourglass.system.extras import needed
from hourglass.tracking.shared import CARD, CONFIG, DESCRIPTION, NETWORKS, PICTURE

__all__ = ["SCHEME", "Repository"]

SCHEME = "hf:"
FILES = [CONFIG, DESCRIPTION, CARD, PICTURE, *NETWORKS]


class Repository(NamedTuple):
    """A repository of models, at a revision or as it is now."""

    name: str
    """USER/REPO."""
    revision: str | None

    @classmethod
    def of(cls, address: str) -> "Repository":
        """Read `hf:USER/REPO[@REVISION]`; HourglassError for anything else."""
        found = re.fullmatch(r"hf:([\w][\w.-]*/[\w][\w.-]*)(?:@([\w][\w./-]*))?", address)
        if found is None:
            raise HourglassError(f"{address!r} must be hf:USER/REPO, or hf:USER/REPO@REVISION")
        return cls(found[1], found[2])

    def download(self) -> Path:
        """The folder with its files, in the data folder; what is there already is not fetched again.

        Raises:
            HourglassError: no such repository, nobody answers; huggingface_hub is missing.
        """
        needed(SCHEME, extra="hub", packages=("huggingface_hub",))
        from huggingface_hub import snapshot_download

        folder = cache_dir() / "hub" / f"{self.name}@{self.revision or 'main'}".replace("/", "--")
        with self._told("be fetched"):
            snapshot_download(
                self.name,
                revision=self.revision,
                local_dir=folder,
                allow_patterns=FILES,
            )
        return folder

    def upload(self, folder: Path, *, private: bool, message: str) -> str:
        """Put the files of a folder there, as one commit; the repository is made where it isn't there.

        Args:
            folder: whose files.
            private: whether a repository that is made is seen by its owner alone.
            message: of the commit.

        Returns:
            its address in the web.

        Raises:
            HourglassError: nobody is logged in, or may not write there; huggingface_hub is missing.
        """
        needed(SCHEME, extra="hub", packages=("huggingface_hub",))
        from huggingface_hub import HfApi

        if self.revision is not None:
            raise HourglassError(f"push writes to what is newest: hf:{self.name}, without @{self.revision}")
        api = HfApi()
        with self._told("be written"):
            address = api.create_repo(self.name, private=private, exist_ok=True)
            # What an earlier model had and this one has not, goes.
            api.upload_folder(repo_id=self.name, folder_path=folder, commit_message=message, delete_patterns=FILES)
        return str(address)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Within, what the client raises becomes one line."""
        try:
            yield
        except Exception as error:  # of many classes, of several libraries
            raise HourglassError(f"{SCHEME}{self.name} can't {what}: {' '.join(reason(error).split())}") from error
