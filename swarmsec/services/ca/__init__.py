"""The authority itself: its roots, certificates, revocations and what is signed for a Swarm's managers."""
