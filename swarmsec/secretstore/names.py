"""Names of secrets: paths such as ``team/app/db``.

A name must fit into a Docker secret's name once its slashes are dots (swarmkit ``validateConfigOrSecretAnnotations``:
64 characters of ``[a-zA-Z0-9-_.]``, beginning and ending with a letter or digit). So names are bounded here, when
they are made, and not when a service is about to get one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from swarmsec.secretstore.errors import SecretInvalid

MAX_NAME: Final = 64
"""Characters of a name; Docker's own bound of a secret's name."""
_SEGMENT: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
ISSUED_PREFIX: Final = "pki/"
"""Names under it stand for certificates that are issued when a task starts; they hold no kept value."""


@dataclass(frozen=True, slots=True, order=True)
class SecretName:
    """A checked name."""

    text: str

    @classmethod
    def parse(cls, text: str) -> SecretName:
        """Read a name.

        Args:
            text: segments of letters, digits, ``.``, ``_`` and ``-``, joined by ``/``, 64 characters at most; each
                begins and ends with a letter or digit.

        Raises:
            SecretInvalid: it is not such a name.
        """
        if not 0 < len(text) <= MAX_NAME or not all(_SEGMENT.fullmatch(part) for part in text.split("/")):
            raise SecretInvalid(
                f"expected a name such as team/app/db of at most {MAX_NAME} letters, digits, '.', '_' and '-', "
                f"got {text!r:.80}"
            )
        return cls(text)

    @property
    def docker_name(self) -> str:
        """The name of the Docker secret that stands for it: the slashes are dots."""
        return self.text.replace("/", ".")

    @property
    def last_part(self) -> str:
        """What a task's file is called where nobody says otherwise."""
        return self.text.rpartition("/")[2]

    @property
    def is_issued(self) -> bool:
        """Whether its value is made for each task rather than kept."""
        return self.text.startswith(ISSUED_PREFIX)

    def __str__(self) -> str:
        return self.text
