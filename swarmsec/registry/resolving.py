"""Any reference to its bytes: ``ManifestSource`` and ``ImageSource`` over registries and OCI layouts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from notary.manifest import Manifest, verify_digest
from notary.reference import DEFAULT_TAG, Digest, ImageReference, LayoutReference, layout_image
from swarmsec.registry.client import Pulled, RegistryClient

if TYPE_CHECKING:
    from notary.images import PlatformEntry
    from swarmsec.services.trust.trust_ports import FoundManifest


class Resolver:
    """Resolves references.

    Args:
        client: pulls from registries.
    """

    def __init__(self, client: RegistryClient) -> None:
        self._client = client

    def resolve(self, reference: ImageReference | LayoutReference) -> FoundManifest:
        """Bring what a reference means now.

        Raises:
            NotTrusted: the bytes are not what they must be, or not of the digest that the reference names.
            NoSuchImage, Denied, NotFound, UsageProblem, Unavailable: as the client and the layout say.
        """
        from swarmsec.services.trust.trust_ports import FoundManifest  # who only verifies shall not pay for it

        pulled = self.pull(reference)
        manifest = pulled.manifest
        return FoundManifest(
            digest=manifest.digest,
            data=pulled.data,
            media_type=manifest.media_type.value,
            platforms=platform_entries(manifest),
        )

    def pull(self, reference: ImageReference | LayoutReference) -> Pulled:
        """The same as bytes with what they were parsed to; errors as ``resolve``."""
        if isinstance(reference, LayoutReference):
            from swarmsec.registry.layout import find_entry, read_entry

            return read_entry(reference, find_entry(reference))
        if reference.tag is None or reference.digest is None:
            return self._client.pull(reference)
        # NOTE: Docker ignores a tag beside a digest; what will run is what the digest says.
        pulled = self._client.pull_digest(reference, reference.digest)
        verify_digest(pulled.data, reference.digest)
        return pulled

    def image_of(self, reference: ImageReference | LayoutReference) -> ImageReference:
        """The name under which a reference is signed: with a tag, and for layouts with a made name.

        Raises:
            NotFound, UsageProblem, Unavailable, NotTrusted: as ``resolve``, for layouts.
        """
        if isinstance(reference, ImageReference):
            named = reference.tag is not None or reference.digest is not None
            return reference if named else replace(reference, tag=DEFAULT_TAG)
        from swarmsec.registry.layout import find_entry

        entry = find_entry(reference)
        return layout_image(reference, base_name=Path(reference.directory).resolve().name, ref_name=entry.ref_name)

    def look_up(self, reference: ImageReference | LayoutReference) -> Manifest:
        """The manifest or index alone; errors as ``resolve``."""
        return self.pull(reference).manifest

    def pull_digest(self, reference: ImageReference, digest: Digest) -> Pulled:
        """Pull by digest from the reference's repository; errors as ``resolve``."""
        return self._client.pull_digest(reference, digest)


def platform_entries(manifest: Manifest) -> tuple[PlatformEntry, ...]:
    """The platforms of an index with their digests, as they are signed; none for a manifest."""
    from notary.images import PlatformEntry

    return tuple(
        PlatformEntry(
            os=child.platform.os,
            architecture=child.platform.architecture,
            variant=child.platform.variant,
            digest=child.digest,
        )
        for child in manifest.children
        if child.platform is not None
    )
